"""The keys of the configuration group `dataset`, by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from data_prep.errors import UserError

Keys = Mapping[str, Mapping[str, str]]
OR_NULL = ", or null"  # ends the description of a key that may be null


def dataset_keys(config: DictConfig, kinds: Keys, groups: str) -> dict[str, Any]:
    """Give the values of `config.dataset`, `kind` too.

    Parameters
    ----------
    config : DictConfig
        Of the stage.
    kinds : mapping
        Of each kind that the stage can read the other keys, and what each of them is. All are
        texts; those whose description ends with `OR_NULL` may be null.
    groups : str
        The values of `dataset` that have these kinds, for the message.

    Raises
    ------
    UserError
        The kind is another one, or a value is missing or unusable; the message names its key.
    """
    kind = None if OmegaConf.is_missing(config.dataset, "kind") else config.dataset.get("kind")
    described = kinds.get(str(kind))
    if described is None or described.keys() | {"kind"} != {str(key) for key in config.dataset}:
        raise UserError(f"dataset.kind={kind}: give dataset={groups} instead")
    values = {key: _value(config.dataset, key, what) for key, what in described.items()}
    return {"kind": kind, **values}


def _value(keys: DictConfig, key: str, what: str) -> str | None:
    missing = OmegaConf.is_missing(keys, key)
    value = None if missing else keys[key]
    if value is None and not missing and what.endswith(OR_NULL):
        return None
    if not isinstance(value, str) or not value:
        given = "is missing" if missing else f"is {value}"
        raise UserError(f"dataset.{key} {given}; give dataset.{key}=…, {what}")
    return value
