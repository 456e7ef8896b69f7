"""Small random crawls that provoke near-duplicates, and what cleaning must make of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from data_prep.cleaning import Cleaned, Rules
from data_prep.text import changes, normalise
from tests.oracles import cleaning as oracle

Row = dict[str, Any]

# Spellings of six tags; the last two sort otherwise by code point than by UTF-16 unit.
SPELLINGS = [
    "a", "A", " a_", "b", "B\t", "c c", "C_c", "c  c", "\u00e9", "e\u0301", "\u00c9",
    "\uff5e", "\U0001f436",
]  # fmt: skip
TEXT_IDS = ["a", "10", "9", "1b", "Z", "09", "\u0663", "1" * 19, "", "x,y", "-1", " 2"]
NUMBERS_AS_TEXT = ["10", "9", "100", "007", "7", "0", "1" * 18, "99", "3", "4", "5", "6"]

ID_POOLS: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int64(), list(range(-3, 40))),
    (pa.string(), NUMBERS_AS_TEXT),
    (pa.string(), TEXT_IDS),
]

tag_lists = st.none() | st.lists(
    st.sampled_from([*SPELLINGS, *SPELLINGS, None, "", " "]), max_size=9
)


@st.composite
def any_rules(draw: st.DrawFn) -> Rules:
    """Any reading of the rules, with thresholds that small crawls reach."""
    readings = st.sampled_from(["vocabulary", "all"])
    first_tags = draw(st.integers(1, 8))
    return Rules(
        normalise=draw(st.booleans()),
        min_frequency=draw(st.integers(1, 3)),
        min_tags=draw(st.integers(1, 4)),
        count_tags=draw(readings),  # type: ignore[arg-type]
        min_alphabetical=draw(st.sampled_from([None, 2, 3, 4])),
        first_tags=first_tags,
        max_shared_first_tags=draw(st.none() | st.integers(0, first_tags - 1)),
        compare_to=draw(st.sampled_from(["seen", "kept"])),
        order_tags=draw(readings),  # type: ignore[arg-type]
    )


@st.composite
def crawls(draw: st.DrawFn) -> tuple[list[Row], pa.Schema]:
    """Rows and their schema: `image_id`, `user_id` at most times, `tags`, `note` and `time`."""
    count = draw(st.integers(1, 24))
    kind, pool = draw(st.sampled_from(ID_POOLS))
    ids: list[Any] = draw(st.lists(st.sampled_from(pool), min_size=count, max_size=count))
    if draw(st.booleans()):
        ids = list(dict.fromkeys(ids))
    if draw(st.booleans()):
        ids.sort()
    if draw(st.booleans()):
        ids[draw(st.integers(0, len(ids) - 1))] = None
    user_kind, users = draw(
        st.sampled_from([(pa.int64(), [-7, 0, None]), (pa.string(), ["u", "", "2", None])])
    )
    times: list[tuple[pa.DataType, list[Any]]] = [
        (pa.int32(), [1, 2, 3, None]),
        (pa.float64(), [0.5, -1.0, float("nan"), None]),
        (pa.string(), ["2", "10", "010", None]),
        (pa.string(), ["2", "10", "x", "\uff5e", "\U0001f436", None]),
    ]
    time_kind, moments = draw(st.sampled_from(times))
    rows = [
        {
            "image_id": image_id,
            "user_id": draw(st.sampled_from(users)),
            "tags": draw(tag_lists),
            "note": f"row {number}",
            "time": draw(st.sampled_from(moments)),
        }
        for number, image_id in enumerate(ids)
    ]
    fields = [pa.field("image_id", kind), pa.field("user_id", user_kind)]
    fields += [pa.field("tags", pa.list_(pa.string())), pa.field("note", pa.string())]
    fields.append(pa.field("time", time_kind))
    if draw(st.booleans()) and draw(st.booleans()):
        fields.pop(1)
        for row in rows:
            del row["user_id"]
    return rows, pa.schema(fields)


def as_table(rows: list[Row], schema: pa.Schema, chunk: int) -> pa.Table:
    """Put rows into a table of chunks, each a slice of one batch of all rows."""
    batch = pa.RecordBatch.from_pylist(rows, schema)
    return pa.Table.from_batches(
        [batch[start : start + chunk] for start in range(0, len(batch), chunk)], schema
    )


def check(cleaned: Cleaned, expected: oracle.Cleaned, rules: Rules) -> None:
    """Hold what cleaning gave against the oracle: every row, reason, tag, code and number."""
    ranked: list[Row] = [
        {"tag": tag, "count": count, "rank": rank}
        for rank, (tag, count) in enumerate(expected.vocabulary, 1)
    ]
    assert cleaned.vocabulary.to_pylist() == ranked
    code_of = {entry["tag"]: entry["rank"] - 1 for entry in ranked}
    kept = [image for image in expected.images if image.reason == "kept"]
    assert list(map(_comparable, cleaned.images.to_pylist())) == [
        _comparable({**i.row, "tags": i.known, "codes": [code_of[tag] for tag in i.known]})
        for i in kept
    ]
    out = [image for image in expected.images if image.reason not in ("kept", "unreadable")]
    rejects = cleaned.rejects.to_pylist()
    details = [row.pop("detail") for row in rejects]
    assert list(map(_comparable, rejects[: len(out)])) == [
        _comparable({**i.row, "tags": i.tags, "reason": i.reason}) for i in out
    ]
    assert {row["reason"] for row in rejects[len(out) :]} <= {"unreadable"}
    likes = [image.like and f"like {image.like.row['image_id']}" for image in out]
    assert details[: len(out)] == likes
    _check_funnel(cleaned.funnel, expected, rules)


def _comparable(row: Row) -> Row:
    """Make NaN equal to itself."""
    return {key: "NaN" if value != value else value for key, value in row.items()}


def _check_funnel(funnel: Row, expected: oracle.Cleaned, rules: Rules) -> None:
    reasons = Counter(image.reason for image in expected.images)
    assert funnel["input"] == len(expected.images)
    assert funnel["kept"] == reasons.pop("kept", 0)
    assert +Counter(funnel["dropped"]) == reasons
    assert funnel["vocabulary"] == len(expected.vocabulary)
    readable = [image for image in expected.images if image.reason != "unreadable"]
    counted = [image for image in readable if image.reason != "duplicate_id"]
    assert funnel["tags"] == sum(len(image.tags) for image in counted)
    assert funnel["distinct_tags"] == len({tag for image in counted for tag in image.tags})
    users = [image.row["user_id"] for image in readable if "user_id" in image.row]
    assert funnel["without_user"] == users.count(None)
    skips = rules.max_shared_first_tags is None or "user_id" not in expected.images[0].row
    assert ("near_duplicate" in funnel["skipped"]) == skips
    assert ("alphabetical" in funnel["skipped"]) == (rules.min_alphabetical is None)
    changed: Counter[str] = Counter()
    for image in readable:
        written = image.row["tags"] or ()
        spelled = [tag and (normalise(tag) if rules.normalise else tag) for tag in written]
        for tag, one in zip(written, spelled, strict=True):
            changed["empty"] += not one
            changed.update(changes(tag) if tag != one else ())
        changed["repeated"] += sum(map(bool, spelled)) - len(image.tags)
    assert +Counter(funnel["normalised"]) == +changed
