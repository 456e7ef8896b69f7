"""Groups of keys in the configuration as the settings that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from inspect import signature
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from data_prep.errors import UserError

T = TypeVar("T")


def from_group(make: Callable[..., T], config: DictConfig, group: str) -> T:
    """Call `make` with the keys of `config[group]`.

    Raises
    ------
    UserError
        It is no group, or has a key that `make` does not take.
    """
    return make(**keys_of(config[group], group, signature(make).parameters))


def keys_of(group: Any, name: str, known: Collection[str]) -> dict[str, Any]:
    """Keys of a group as plain values, lists as tuples; `name` is the group's in messages.

    Raises
    ------
    UserError
        It is no group, or has a key that is not known.
    """
    if not isinstance(group, DictConfig):
        raise UserError(f"{name}={group}: give its keys; --cfg job shows them")
    found = OmegaConf.to_container(group, resolve=True)
    assert isinstance(found, dict)
    keys = {str(k): tuple(one) if isinstance(one, list) else one for k, one in found.items()}
    for key in keys:
        if key not in known:
            raise UserError(f"{name}.{key}: no such key; there are {', '.join(known)}")
    return keys
