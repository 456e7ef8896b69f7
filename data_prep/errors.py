"""The one exception that a person at the command line may see."""


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the file, the row or the config key, and the remedy.
    """
