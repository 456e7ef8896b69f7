"""`python -m pipeline stage=NAME …`: read the configuration, run the stage, tell errors in a line.

HYDRA_FULL_ERROR=1 in the environment shows the traceback of an error.
"""

import importlib
import os
import re
import sys
from importlib.resources import files
from pathlib import Path

import hydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from PIL import Image

from data_prep.errors import UserError

# Groups of which a folder is a choice: what to give for a file, and instead of nothing.
FOLDERS = {
    "model": (
        "give a folder, or model.name=NET model.weights=",
        "give a folder of stage=train, or another net with model.name=resnet50",
    ),
    "proposals": ("give proposals=file proposals.path=", "give a folder of stage=propose"),
}
# Hydra's words; those for a stage that is none stay as they are.
UNKNOWN_CHOICE = re.compile(
    r"Could not find '(?!stage/)([^/']+)/(.*)'\s+Available options in '\1':([\s\w]*)"
    r"(?=\nConfig search path|\Z)"
)


def main() -> int:
    """Run the stage that the command line names and return the exit status."""
    process = int(os.environ.get("RANK", 0))  # of torchrun
    show_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra prints errors itself, over many lines
    Image.MAX_IMAGE_PIXELS = None  # the key max_pixels is the limit, not Pillow's own
    try:
        for config in _read_configs():
            if config.stage is None:
                raise UserError("no stage is named; add stage=attend, or --help for the list")
            # Stages load slowly (torch): only this one is imported.
            importlib.import_module(f"pipeline.{config.stage}").run(config)
    except KeyboardInterrupt:
        if process == 0:
            print("Interrupted.", file=sys.stderr)
        return 130
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        if show_traceback:
            raise
        place = f" (process {process})" if process else ""
        print(f"error{place}: {_in_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def _read_configs() -> list[DictConfig]:
    """Read the command line: one configuration, more with --multirun, none with --cfg."""
    sys.argv[1:] = with_folders(sys.argv[1:])
    configs: list[DictConfig] = []
    read = hydra.main(version_base="1.3", config_path="pkg://conf", config_name="config")
    try:
        read(configs.append)()
    except ValueError as error:  # Hydra's, of data=9: no exception of its own
        raise UserError(f"{error}; give the name of a file in conf/, as in data=crawl") from error
    return configs


def with_folders(arguments: list[str]) -> list[str]:
    """Turn model=DIR into what Hydra reads: model=folder model.folder=DIR; proposals=DIR likewise.

    A name of conf/model stays as it is. With --multirun, DIR may be several with commas between.

    Raises
    ------
    UserError
        DIR is no folder.
    """
    given: list[str] = []
    for argument in arguments:
        key, _, value = argument.partition("=")
        given += _with_folder(key, value) if key in FOLDERS else [argument]
    return given


def _with_folder(group: str, value: str) -> list[str]:
    names = {path.name.removesuffix(".yaml") for path in (files("conf") / group).iterdir()}
    plain = re.sub(r"""^(["'])(.*)\1$""", r"\2", value)  # quoted for Hydra
    choices = [plain] if Path(plain).exists() else plain.split(",")
    if names.issuperset(choices):
        return [f"{group}={value}"]
    for choice in choices:
        if not choice or not (Path(choice).is_dir() or "${" in choice):
            raise UserError(_no_folder(group, choice, names))
    return [f"{group}=folder", f"{group}.folder={','.join(map(_quoted, choices))}"]


def _quoted(text: str) -> str:
    """Quote for Hydra, where a backslash counts only before a quote."""
    doubled = re.sub(r'\\+(?="|$)', r"\g<0>\g<0>", text)
    return '"' + doubled.replace('"', '\\"') + '"'


def _no_folder(group: str, choice: str, names: set[str]) -> str:
    of_file, remedy = FOLDERS[group]
    if Path(choice).is_file():
        return f"{group}={choice}: a file; {of_file}{choice}"
    others = ", ".join(sorted(names - {"folder"}))
    return f"{group}={choice}: no folder and none of conf/{group}: {others}; {remedy}"


def _in_one_line(error: Exception) -> str:
    text = str(error)
    if key := re.match(r"Could not override '(.+?)'\.", text):
        return f"unknown config key {key[1]}; add --cfg job to see the keys of the stage"
    if isinstance(error, OverrideParseException):
        return _quoted_twice(str(error.override))
    if value := re.match(r"Ambiguous value for argument '(.+)'\n", text):
        return _quoted_twice(value[1])
    if choice := UNKNOWN_CHOICE.search(text):
        group, name, known = choice.groups()
        deeper = Path(str(files("conf"))).glob(f"{group}/*/*.yaml")  # Hydra names only the others
        names = [*known.split(), *sorted(f"{path.parent.name}/{path.stem}" for path in deeper)]
        return f"{group}={name}: none of conf/{group}: {', '.join(names)}"
    text = re.split(r"Config search path|full_key:", text)[0]  # where Hydra looked, not the cause
    return " ".join(text.split())


def _quoted_twice(override: str) -> str:
    key, _, value = override.partition("=")
    return f"cannot read {override}; quote the value twice: '{key}=\"{value}\"'"


def _exit(status: int) -> None:
    """End this process.

    After an error one of several processes does not close its group, which could wait for what the
    others never send; the end of the interpreter, which then often aborts, is left out.
    """
    if status and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    _exit(main())
