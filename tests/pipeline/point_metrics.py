"""Metrics of a pointing game, made by hand."""

from typing import Any

LABELS = ("cat", "dog", "cow")
SHARES: dict[str, tuple[tuple[float, ...], tuple[float | None, ...]]] = {
    "mwp": ((0.5, 0.75, 0.25), (0.5, 0.0, None)),
    "cmwp": ((0.75, 0.75, 0.5), (1.0, 0.0, None)),
    "cam@features.3": ((0.25, 0.75, 1.0), (0.5, 0.0, None)),
}


def numbers(every: tuple[float, ...], difficult: tuple[float | None, ...]) -> dict[str, Any]:
    pairs = (4, 8, 1200), (2, 3, 0)
    keys = ("all", "difficult", "pairs", "difficult_pairs")
    rows = zip(every, difficult, *pairs, strict=True)
    known = [share for share in difficult if share is not None]
    return {
        "all": sum(every) / len(every),
        "difficult": sum(known) / len(known) if known else None,
        "intervals": {"all": [0.4, 0.625]},
        "degenerate": 3,
        "at_border": 12,
        "target": "features.3",
        "classes": {
            label: dict(zip(keys, row, strict=True))
            for label, row in zip(LABELS, rows, strict=True)
        },
    }


def metrics() -> dict[str, Any]:
    methods = {name: numbers(*shares) for name, shares in SHARES.items()}
    methods["mwp"]["published"] = [0.793, None]
    return {
        "photos": 1000,
        "pairs": 1212,
        "difficult_pairs": 5,
        "unflagged_pairs": 0,
        "protocol": "A hit is near.",
        "published_source": "a paper",
        "difficult": {"source": "derived"},
        "left_out": {"crowds": 7},
        "absent": ["sofa"],
        "rejected": {"missing": 2},
        "methods": methods,
    }
