"""Makes a generator of proposals from its settings, the keys of the group `proposals`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.errors import UserError
from grounding.proposals.boxes import Generator
from grounding.proposals.edge_boxes import EdgeBoxes
from grounding.proposals.files import BoxFiles
from grounding.proposals.selective_search import SelectiveSearch
from grounding.proposals.sliding_windows import SlidingWindows

KINDS: dict[str, type[Generator]] = {
    "selective_search": SelectiveSearch,
    "edge_boxes": EdgeBoxes,
    "sliding_windows": SlidingWindows,
    "file": BoxFiles,
}


def make_generator(settings: Mapping[str, Any]) -> Generator:
    """Make the generator that `kind` names, with the other settings as its attributes.

    Raises
    ------
    UserError
        There is no such kind, it lacks a setting or has a further one, or a value is unusable.
    """
    values = {
        key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()
    }
    kind = values.pop("kind", None)
    if kind == "exhaustive":
        raise UserError(
            "proposals=exhaustive: there is nothing to make, stage=localize looks at all windows "
            "of its maps; give another proposals="
        )
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"proposals.kind={kind}: give one of {', '.join(KINDS)}")
    attributes = KINDS[kind].__annotations__
    if odd := attributes.keys() ^ values.keys():
        key = min(odd)
        fault = "is missing" if key in attributes else f"is no key of proposals={kind}"
        raise UserError(f"proposals.{key} {fault}; its keys: {', '.join(attributes)}")
    return KINDS[kind](**values)
