"""What phrase localisation reaches without looking at the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from grounding.localisation import (
    KS,
    Localised,
    first_hit,
    overlaps,
    pointing,
    random_recall,
    recall,
    recalls,
)
from grounding.pointing import centre


def simple_baselines(phrases: Sequence[Localised]) -> dict[str, dict[str, Any]]:
    """Whole image, centre box, centre point, random proposal, and proposals in their own order.

    Parameters
    ----------
    phrases : sequence of Localised
        Every mention, one or more.

    Returns
    -------
    dict
        Name to `recall` (→ `merged` and `any` → "1", "5", "10"; one box has only "1"),
        `upper_bound` where there are proposals, or `pointing`; see
        `grounding.localisation.PROTOCOLS`. Shares in [0, 1].
    """
    baselines = {
        "whole_image": _one_box(phrases, 0.0),
        "centre_box": _one_box(phrases, 0.25),
        "centre_point": {
            "pointing": pointing([replace(p, point=centre(p.width, p.height)) for p in phrases])
        },
    }
    proposals = [p.proposals for p in phrases]
    if any(proposals):
        bound = {"upper_bound": sum(p.hits_merged > 0 for p in phrases) / len(phrases)}
        merged = random_recall([p.hits_merged for p in phrases], proposals)
        each = random_recall([p.hits_any for p in phrases], proposals)
        baselines["random_proposal"] = {
            "recall": {
                "merged": {str(k): merged[k - 1] for k in KS},
                "any": {str(k): each[k - 1] for k in KS},
            },
            **bound,
        }
        baselines["proposal_order"] = {
            "recall": {
                "merged": recalls([p.first_merged for p in phrases]),
                "any": recalls([p.first_any for p in phrases]),
            },
            **bound,
        }
    return baselines


def _one_box(phrases: Sequence[Localised], margin: float) -> dict[str, Any]:
    """Recall of the box that leaves out a share of the photo on every side."""
    ranks = []
    for p in phrases:
        x, y = margin * p.width, margin * p.height
        ours = overlaps([(x, y, p.width - x, p.height - y)], p.boxes)
        ranks.append([first_hit(iou) for iou in ours])
    merged, each = zip(*ranks, strict=True)
    return {"recall": {"merged": {"1": recall(merged, 1)}, "any": {"1": recall(each, 1)}}}
