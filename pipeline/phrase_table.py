"""The table of phrases that stage `localize` writes, one row a phrase."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from grounding.localisation import Localised

BOXES = pa.list_(pa.list_(pa.float64()))
WORDS = pa.list_(pa.string())

BASELINE = pa.struct(
    {
        "name": pa.string(),
        "rank_merged": pa.int64(),
        "rank_any": pa.int64(),
        "point_x": pa.int64(),
        "point_y": pa.int64(),
    }
)

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "image_id": pa.string(),
        "photo": pa.string(),  # path
        "width": pa.int64(),
        "height": pa.int64(),
        "caption": pa.string(),
        "start": pa.int64(),  # of the phrase in the caption; characters, half-open
        "end": pa.int64(),
        "phrase": pa.string(),
        "types": WORDS,
        "chain": pa.string(),
        "words": WORDS,  # of the vocabulary, that were asked
        "head": pa.string(),
        "dropped": WORDS,
        "backed_off": WORDS,  # "puppy → dog"
        "out_of_vocabulary": pa.bool_(),
        "boxes": BOXES,  # the truth; x1, y1, x2, y2 in pixels, half-open
        "top_boxes": BOXES,  # best first
        "top_scores": pa.list_(pa.float64()),
        "point_x": pa.int64(),  # the map's maximum
        "point_y": pa.int64(),
        "attention": pa.binary(),  # uint8, row by row; 255 is the map's maximum
        "grid_width": pa.int64(),
        "grid_height": pa.int64(),
        "rank_merged": pa.int64(),  # of the first hit among the first 100
        "rank_any": pa.int64(),
        "iou_merged": pa.float64(),  # of the first box
        "iou_any": pa.float64(),
        "upper_merged": pa.bool_(),  # some proposal hits
        "upper_any": pa.bool_(),
        "proposals": pa.int64(),
        "hits_merged": pa.int64(),  # proposals that hit
        "hits_any": pa.int64(),
        "first_merged": pa.int64(),  # rank of the first hit in the proposals' own order
        "first_any": pa.int64(),
        "baselines": pa.list_(BASELINE),  # what other maps give
    }
)


def localised(table: pa.Table) -> list[Localised]:
    """Turn the rows into what the metrics are computed from."""
    columns = [
        *("photo", "width", "height", "phrase", "boxes", "types", "out_of_vocabulary"),
        *("rank_merged", "rank_any", "point_x", "point_y", "proposals"),
        *("hits_merged", "hits_any", "first_merged", "first_any"),
    ]
    phrases = []
    for row in table.select(columns).to_pylist():
        x, y = row.pop("point_x"), row.pop("point_y")
        row["boxes"] = tuple(tuple(box) for box in row["boxes"])
        row["types"] = tuple(row["types"])
        phrases.append(Localised(**row, point=None if x is None else (x, y)))
    return phrases


def of_baseline(table: pa.Table, name: str) -> list[Localised]:
    """Turn the rows into what the metrics of one of the map baselines are computed from."""
    found = []
    for phrase, own in zip(localised(table), table["baselines"].to_pylist(), strict=True):
        (answer,) = [each for each in own if each["name"] == name]
        x, y = answer["point_x"], answer["point_y"]
        changed = {key: answer[key] for key in ("rank_merged", "rank_any")}
        found.append(replace(phrase, point=None if x is None else (x, y), **changed))
    return found
