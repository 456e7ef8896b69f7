"""Groups of keys in the configuration as the settings that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import TypeVar

from omegaconf import DictConfig, OmegaConf

from data_prep.errors import UserError

T = TypeVar("T")


def from_group(make: Callable[..., T], config: DictConfig, group: str, above: str = "") -> T:
    """Call `make` with the keys of `config[group]` as plain values, lists as tuples.

    `above` stands before the group's name in messages.

    Raises
    ------
    UserError
        It is no group, or has a key that `make` does not take.
    """
    if not isinstance(config[group], DictConfig):
        raise UserError(f"{above}{group}={config[group]}: give its keys; --cfg job shows them")
    found = OmegaConf.to_container(config[group], resolve=True)
    assert isinstance(found, dict)
    keys = {str(k): tuple(one) if isinstance(one, list) else one for k, one in found.items()}
    known = signature(make).parameters
    for key in keys:
        if key not in known:
            raise UserError(f"{above}{group}.{key}: no such key; there are {', '.join(known)}")
    return make(**keys)
