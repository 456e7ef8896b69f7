"""Methods of attention side by side: the lines of a table, as the configuration names them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from data_prep.errors import UserError
from grounding.classifier import TagClassifier
from grounding.excitation import ExcitationBackprop
from grounding.word_maps import (
    DEFAULT_LAYER,
    ENGINE,
    METHODS,
    Looks,
    MapSettings,
    Rule,
    engine_target,
    word_maps,
)
from pipeline.groups import from_group
from pipeline.stage import strings

RULE = "rule"  # key of a blend beside its methods


@dataclass(frozen=True)
class MethodLine:
    """One line of a table.

    Attributes
    ----------
    name : str
        Of the method or blend; of a method asked at several layers, METHOD@LAYER.
    method : str
        Without the layer.
    layer : int, str or None
        That the line's maps come from, if it was asked for.
    maps : tuple of MapSettings
        Whose maps become one.
    rule : {"mean", "product"}
        How; see `grounding.word_maps.word_maps`.
    """

    name: str
    method: str
    layer: int | str | None
    maps: tuple[MapSettings, ...]
    rule: Rule = "mean"

    def __call__(self, looks: Looks, priors: Tensor) -> Tensor:
        """Maps (K, h, w) of words, given as priors over the classes (K, M)."""
        return word_maps(looks, priors, self.maps, self.rule)

    def engine(self, classifier: TagClassifier) -> ExcitationBackprop | None:
        """Engine that makes the line's maps, if one does."""
        if self.method not in ENGINE:
            return None
        target = engine_target(self.layer or DEFAULT_LAYER)
        return classifier.engine(**target, **self.maps[0].engine_options())


def method_lines(config: DictConfig) -> list[MethodLine]:
    """Give the lines that `methods` names.

    A method has a line for each of `layers`, if it comes from the engine; all are asked with the
    keys `short_sides`, `flip`, `residual` and `bottlenecks`. Other names are those of `blends`,
    whose methods have keys of their own.

    Raises
    ------
    UserError
        A key is unusable.
    """
    names = strings(config.methods)
    if not names:
        raise UserError(f"methods is empty; give some of {_known(config)}")
    if len(set(names)) < len(names):
        raise UserError(f"methods={names}: one is named twice")
    return [line for name in names for line in _lines(name, config)]


def _lines(name: str, config: DictConfig) -> list[MethodLine]:
    if name in config.blends:
        return [_blend(name, config.blends)]
    if name not in METHODS:
        raise UserError(f"methods={name}: give some of {_known(config)}")
    keys: dict[str, Any] = {"short_sides": _tuple(config.short_sides), "flip": config.flip}
    layers: list[Any] = [None]
    if name in ENGINE:
        keys |= {"residual": config.residual, "bottlenecks": config.bottlenecks}
        if config.layers is not None:
            layers = list(config.layers) if OmegaConf.is_list(config.layers) else [config.layers]
    if not layers:
        raise UserError("layers is empty; give grids or layers, as in [7,14,28], or null")
    found = []
    for layer in layers:
        own = None if layer is None else (layer,)
        with _told_as(f"maps.{name}.", ""):
            settings = MapSettings(name, own, **keys)
        line = name if len(layers) == 1 else f"{name}@{layer}"
        found.append(MethodLine(line, name, layer, (settings,)))
    return found


def _blend(name: str, blends: DictConfig) -> MethodLine:
    blend = blends[name]
    methods = [str(key) for key in blend if key != RULE] if isinstance(blend, DictConfig) else []
    if not methods:
        raise UserError(f"blends.{name}={blend}: give methods and their keys")
    above = f"blends.{name}."
    rule = blend.get(RULE, "mean")
    if rule not in get_args(Rule):
        raise UserError(f"{above}{RULE}={rule}: give one of {', '.join(get_args(Rule))}")
    with _told_as("maps.", above):
        maps = [from_group(partial(MapSettings, one), blend, one, above) for one in methods]
    return MethodLine(name, name, None, tuple(maps), rule)


@contextmanager
def _told_as(key: str, shown: str) -> Iterator[None]:
    """Name the key of this stage in a message, instead of that of the settings' own."""
    try:
        yield
    except UserError as error:
        message = str(error)
        raise UserError(
            shown + message[len(key) :] if message.startswith(key) else message
        ) from error


def _known(config: DictConfig) -> str:
    return ", ".join([*METHODS, *map(str, config.blends)])


def _tuple(value: Any) -> Any:
    """Give the values of a list; what is none is left for the settings to refuse."""
    return tuple(value) if OmegaConf.is_list(value) else value
