"""The one exception that a person at the command line may see, and the commonest reason for it."""

import math
from typing import Any


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one line that names the file, the row or the config key, and the remedy.
    """


def check_number(
    key: str,
    value: Any,
    least: float,
    most: float = math.inf,
    *,
    whole: bool = False,
    or_null: bool = False,
) -> None:
    """Refuse a setting that is no finite number from `least` to `most`, or None with `or_null`.

    Raises
    ------
    UserError
        It is none; `key` stands in the message.
    """
    if value is None and or_null:
        return
    kind = int if whole else (int, float)
    endless = value == math.inf
    if (
        not isinstance(value, kind)
        or isinstance(value, bool)
        or not least <= value <= most
        or endless
    ):
        asked = "a whole number" if whole else "a finite number" if endless else "a number"
        limits = f", {least:,} or more" if most == math.inf else f" from {least:,} to {most:,}"
        raise UserError(f"{key}={value}: give {asked}{limits}{', or null' if or_null else ''}")
