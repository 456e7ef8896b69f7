"""Boxes of Flickr30k Entities, by the chain that they show."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree, EntitiesForbidden

from data_prep.phrases import Box, Problem, Unusable, fit_box

REASONS = ("scene", "nobndbox")  # flags of what has no box; the first that is set counts


@dataclass
class Annotation:
    """What the XML file of a photo says.

    Attributes
    ----------
    width, height : int or None
        In pixels; None where the file has no such number.
    boxes : dict of str to list of Box
        Of each chain: pixels from the top left corner, half-open.
    boxless : dict of str to str
        Chains without a box, and why: "scene", "nobndbox", "not annotated" or "bad box".
    problems : list of Problem
        Codes "no size", "no name", "bad box", "box outside", "box clipped".
    """

    width: int | None
    height: int | None
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    boxless: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def why_boxless(self, chain: str) -> str:
        """Say why a chain has no box."""
        return self.boxless.get(chain, "not annotated")


def read_annotation(path: Path) -> Annotation:
    """Read the annotation of a photo.

    An object bears the ids of one or more chains, and a chain the boxes of all objects that bear
    its id. (The script of the official release takes the first id of an object only.)

    Raises
    ------
    Unusable
        "no annotation": the file is missing, is no XML, or defines entities (an XML bomb).
    """
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); fetch it, or take the photo off the split"
        raise Unusable(str(path), "no annotation", reason) from error
    except EntitiesForbidden as error:
        reason = "it declares entities, which is refused; fetch it again"
        raise Unusable(str(path), "no annotation", reason) from error
    except (ParseError, ValueError, LookupError) as error:  # an unknown encoding, for one
        reason = f"no readable annotation ({error}); fetch it again"
        raise Unusable(str(path), "no annotation", reason) from error
    width, height = (_side(root, side) for side in ("width", "height"))
    found = Annotation(width, height)
    if width is None or height is None:
        reason = "no <width> and <height>: boxes are not checked against them; add them"
        found.problems.append(Problem(str(path), "no size", reason))
    for number, node in enumerate(root.findall("object"), 1):
        _add_object(found, node, f"{path}: object {number}")
    found.boxless = {c: why for c, why in found.boxless.items() if c not in found.boxes}
    return found


def _add_object(found: Annotation, node: Element, where: str) -> None:
    names = dict.fromkeys((name.text or "").strip() for name in node.findall("name"))
    chains = [name for name in names if name]
    if not chains:
        reason = "the object has no <name>; give it the id of a chain"
        found.problems.append(Problem(where, "no name", reason))
    written = node.findall("bndbox")
    boxes = [_read_box(box, found, where) for box in written]
    flagged = [flag for flag in REASONS if (node.findtext(flag) or "").strip() == "1"]
    why = "bad box" if written else next(iter(flagged), "not annotated")
    for chain in chains:
        usable = [box for box in boxes if box is not None]
        if usable:
            found.boxes.setdefault(chain, []).extend(usable)
        else:
            found.boxless.setdefault(chain, why)


def _read_box(node: Element, found: Annotation, where: str) -> Box | None:
    x1, y1, x2, y2 = (_number(node, key) for key in ("xmin", "ymin", "xmax", "ymax"))
    if x1 is None or y1 is None or x2 is None or y2 is None:
        reason = "a <bndbox> without four numbers xmin, ymin, xmax, ymax; correct it"
        found.problems.append(Problem(where, "bad box", reason))
        return None
    # The file counts pixels from 1 and includes the last one.
    box = (x1 - 1, y1 - 1, x2, y2)
    return fit_box(box, found.width, found.height, where, found.problems)


def _side(root: Element, name: str) -> int | None:
    value = _number(root, f"size/{name}")
    return int(value) if value is not None and value >= 1 else None


def _number(node: Element, key: str) -> float | None:
    try:
        value = float(node.findtext(key) or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
