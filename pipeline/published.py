"""Published figures, to show beside those of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from data_prep.errors import UserError
from grounding.word_maps import METHODS
from pipeline.method_lines import MethodLine, method_lines
from pipeline.photo_maps import mapping


def check_published(config: DictConfig) -> None:
    """Refuse names in `published` that can be no line's.

    A recipe's figures may be of more methods and layers than are asked this time.

    Raises
    ------
    UserError
        There is such a name.
    """
    for name in mapping(config, "published"):
        if str(name).partition("@")[0] not in {*METHODS, *map(str, config.blends or {})}:
            shown = ", ".join(line.name for line in method_lines(config))
            raise UserError(f"published.{name}: no line of that name; the lines are {shown}")


def published_of(config: DictConfig, line: MethodLine) -> Any:
    """Give the figures of a line, as METHOD@LAYER or, if it is the only one, METHOD; or None."""
    figures: Mapping[Any, Any] = mapping(config, "published")
    return figures.get(line.name, figures.get(f"{line.method}@{line.layer}"))
