"""Methods of attention side by side: the lines of a table, as the configuration names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from data_prep.errors import UserError
from grounding.classifier import TagClassifier
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
from pipeline.groups import keys_of
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

    def target(self, classifier: TagClassifier) -> tuple[str, int] | None:
        """Layer that the engine takes the line's maps from, and its grid, as `layer_of`."""
        if self.method not in ENGINE:
            return None
        return layer_of(classifier, self.layer or DEFAULT_LAYER, self.maps[0])


def method_lines(config: DictConfig) -> list[MethodLine]:
    """Give the lines that `methods` names.

    A method of the engine has a line for each of `layers`. All are asked with the keys
    `short_sides` and `flip`, those of the engine with `residual` and `bottlenecks` too. Other
    names are those of `blends`: groups of methods, whose keys are the same where they give none
    of their own; but their `layers` are 14 unless given.

    Raises
    ------
    UserError
        A key is unusable.
    """
    names, layers, blends = strings(config.methods), _plain(config.layers), config.blends or {}
    known = ", ".join([*METHODS, *map(str, blends)])
    if not names:
        raise UserError(f"methods is empty; give some of {known}")
    if len(set(names)) < len(names):
        raise UserError(f"methods={names}: one is named twice")
    for name in blends:
        if str(name).split("@")[0] in METHODS:
            raise UserError(f"blends.{name}: a method's name; give the blend another")
    # Refuses the stage's own keys by their names, before a blend's method takes them over.
    MapSettings(ENGINE[0], layers, **_usual(ENGINE[0], config))
    lines = []
    for name in names:
        if name in blends:
            lines.append(_blend(name, config))
        elif name in METHODS:
            lines += _lines(name, layers, _usual(name, config))
        else:
            raise UserError(f"methods={name}: give some of {known}")
    return lines


def settings_of(
    method: str, group: Any, key: str, usual: Mapping[str, Any] | None = None
) -> MapSettings:
    """Give a method's settings from a group of keys.

    Parameters
    ----------
    method : str
    group : DictConfig
        Fields of `MapSettings`.
    key : str
        The group's place in the configuration, for messages.
    usual : mapping, optional
        Of fields that the group leaves out.

    Raises
    ------
    UserError
        There is no such method, or a key is unusable.
    """
    if method not in METHODS:
        raise UserError(f"{key}: give some of {', '.join(METHODS)}")
    own = keys_of(group, key, [each.name for each in fields(MapSettings) if each.name != "method"])
    try:
        return MapSettings(method, **{**(usual or {}), **own})
    except UserError as error:
        raise UserError(f"{key}.{error}") from error


def check_layers(lines: Sequence[MethodLine], classifier: TagClassifier) -> None:
    """Refuse a grid that is not within a factor of 2 of any layer's, and two names of one layer.

    Raises
    ------
    UserError
        There is one.
    """
    asked: dict[tuple[str, str, str], int | str] = {}
    for line in lines:
        for settings in line.maps:
            blended = f"blends.{line.name}.{settings.method}."
            key = f"{'' if line.method in METHODS else blended}layers"
            for layer in settings.layers or ():
                target, grid = layer_of(classifier, layer, settings)
                if isinstance(layer, int) and not layer <= 2 * grid <= 4 * layer:
                    raise UserError(
                        f"{key}: no layer has a grid near {layer}; that of the nearest, {target}, "
                        f"is {grid}"
                    )
                other = asked.setdefault((line.method, settings.method, target), layer)
                if other != layer:
                    raise UserError(
                        f"{key}: {other} and {layer} are both the layer {target}; give one of them"
                    )


def layer_of(classifier: TagClassifier, layer: int | str, settings: MapSettings) -> tuple[str, int]:
    """Name of one of `MapSettings.layers`, and its grid's side for a 224×224 input."""
    target, options = engine_target(layer), settings.engine_options()
    grey = torch.zeros(1, 3, 224, 224, device=classifier.device)
    grid = classifier.state(grey, **target, **options).grid
    return classifier.engine(**target, **options).target, max(grid)


def _usual(method: str, config: DictConfig) -> dict[str, Any]:
    """Keys of the stage that a method has."""
    keys = {"short_sides": _plain(config.short_sides), "flip": config.flip}
    if method in ENGINE:
        keys |= {"residual": config.residual, "bottlenecks": config.bottlenecks}
    return keys


def _lines(
    method: str, layers: Sequence[int | str] | None, usual: Mapping[str, Any]
) -> list[MethodLine]:
    if method not in ENGINE or layers is None:
        return [MethodLine(method, method, None, (MapSettings(method, **usual),))]
    found = []
    for layer in layers:
        line = method if len(layers) == 1 else f"{method}@{layer}"
        found.append(MethodLine(line, method, layer, (MapSettings(method, (layer,), **usual),)))
    return found


def _blend(name: str, config: DictConfig) -> MethodLine:
    key, blend = f"blends.{name}", config.blends[name]
    methods = [str(each) for each in blend if each != RULE] if isinstance(blend, DictConfig) else []
    if not methods:
        raise UserError(f"{key}={blend}: give methods and their keys")
    rule = blend.get(RULE, "mean")
    if rule not in get_args(Rule):
        raise UserError(f"{key}.{RULE}={rule}: give one of {', '.join(get_args(Rule))}")
    maps = (
        settings_of(method, blend[method], f"{key}.{method}", _usual(method, config))
        for method in methods
    )
    return MethodLine(name, name, None, tuple(maps), rule)


def _plain(value: Any) -> Any:
    """Give the values of a list; what is none is left for the settings to refuse."""
    return tuple(value) if OmegaConf.is_list(value) else value
