"""One run: what it leaves, and its numbers against slow loops over the table of phrases."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipeline.localize.made import PHOTOS, lasting, metrics, parsed, rows, run

SIMPLE = ("whole_image", "centre_box", "centre_point", "random_proposal", "proposal_order")


def overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(high, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def around(boxes: list[list[float]]) -> list[float]:
    left, top, right, bottom = zip(*boxes, strict=True)
    return [min(left), min(top), max(right), max(bottom)]


def hits(box: list[float], row: dict[str, Any], protocol: str) -> bool:
    truth = [around(row["boxes"])] if protocol == "merged" else row["boxes"]
    return any(overlap(box, each) >= 0.5 for each in truth)


def share_with(found: list[bool]) -> Any:
    return pytest.approx(sum(found) / len(found))


def inside(x: float | None, y: float | None, boxes: list[list[float]]) -> bool:
    if x is None or y is None:
        return False
    return any(x1 <= x < x2 and y1 <= y < y2 for x1, y1, x2, y2 in boxes)


def proposals_of(out: Path, row: dict[str, Any]) -> list[list[float]]:
    with np.load(out / "proposals" / "boxes" / f"{row['image_id']}.npz") as found:
        boxes: list[list[float]] = found["boxes"].tolist()
    return boxes


def test_what_is_left(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {
        *("phrases.parquet", "metrics.json", "report.html", "config.yaml", "done.json"),
        "proposals",
    }
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["']?(?!data:|#)\w""", page)
    assert "url(http" not in page
    assert page.count("data:image/") >= len(PHOTOS)


def test_every_phrase_has_its_row(finished: Path) -> None:
    expected = []
    for photo in PHOTOS:
        for caption in photo.captions:
            plain, phrases = parsed(caption)
            for chain, start, text in phrases:
                boxes = [[float(side) for side in box] for _, box in photo.boxes[chain]]
                expected.append((photo.id, *photo.size, plain, start, text, chain, boxes))
    found = rows(finished)
    columns = ("image_id", "width", "height", "caption", "start", "phrase", "chain", "boxes")
    assert [tuple(row[key] for key in columns) for row in found] == expected
    for row in found:
        assert row["caption"][row["start"] : row["end"]] == row["phrase"]
        assert row["types"] == ["other"]
        assert len(row["attention"]) == row["grid_width"] * row["grid_height"]
        assert max(row["attention"]) == 255
        assert len(row["top_boxes"]) == len(row["top_scores"]) == 10
        assert row["top_scores"] == sorted(row["top_scores"], reverse=True)
    by_phrase = {row["phrase"]: row for row in found}
    assert by_phrase["a red hot dog"]["words"] == ["red", "hot dog"]
    assert by_phrase["Two green boxes"]["words"] == ["green", "box"]
    assert by_phrase["Two green boxes"]["head"] == "boxes"
    assert by_phrase["xyzzy"]["words"] == []
    assert [row["phrase"] for row in found if row["out_of_vocabulary"]] == ["xyzzy"]


def test_recall_and_upper_bound(finished: Path) -> None:
    found, table = metrics(finished), rows(finished)
    assert (found["phrases"], found["photos"]) == (len(table), len(PHOTOS)) == (9, 4)
    for protocol in ("merged", "any"):
        first = [[hits(box, row, protocol) for box in row["top_boxes"]] for row in table]
        for k in (1, 5, 10):
            assert found["recall"][protocol][str(k)] == share_with([any(one[:k]) for one in first])
        for row, one in zip(table, first, strict=True):
            rank = one.index(True) + 1 if any(one) else None
            assert row[f"rank_{protocol}"] == rank or (
                rank is None and row[f"rank_{protocol}"] > 10
            )
            bound = any(hits(box, row, protocol) for box in proposals_of(finished, row))
            assert row[f"upper_{protocol}"] == bound
    assert found["upper_bound"] == share_with([row["upper_merged"] for row in table])
    assert found["upper_bound_any"] == share_with([row["upper_any"] for row in table])
    for row in table:
        each = [overlap(row["top_boxes"][0], box) for box in row["boxes"]]
        assert row["iou_any"] == pytest.approx(max(each))
        merged = overlap(row["top_boxes"][0], around(row["boxes"]))
        assert row["iou_merged"] == pytest.approx(merged)


def test_pointing_and_out_of_vocabulary(finished: Path) -> None:
    found, table = metrics(finished), rows(finished)
    points = [(row["point_x"], row["point_y"]) for row in table]
    for (x, y), row in zip(points, table, strict=True):
        assert 0 <= x < row["width"]
        assert 0 <= y < row["height"]
    pointed = [inside(*point, row["boxes"]) for point, row in zip(points, table, strict=True)]
    assert found["pointing"]["any_box"] == share_with(pointed)
    merged = [inside(*p, [around(row["boxes"])]) for p, row in zip(points, table, strict=True)]
    assert found["pointing"]["union_box"] == share_with(merged)
    assert found["out_of_vocabulary"] == pytest.approx(1 / 9)
    assert 0 < sum(pointed) < len(table)


def test_intervals_contain_their_values(finished: Path) -> None:
    found = metrics(finished)
    shares = [(found["recall"]["merged"][k], found["intervals"]["recall"]["merged"][k])
              for k in ("1", "5", "10")]  # fmt: skip
    shares.append((found["upper_bound"], found["intervals"]["upper_bound"]))
    for each in (found, found["baselines"]["mwp"]):
        shares.append((each["pointing"]["any_box"], each["intervals"]["pointing"]["any_box"]))
        shares.append((each["recall"]["any"]["1"], each["intervals"]["recall"]["any"]["1"]))
    for value, (low, high) in shares:
        assert 0 <= low <= value <= high <= 1


def test_baselines_without_attention(finished: Path) -> None:
    baselines, table = metrics(finished)["baselines"], rows(finished)
    assert set(baselines) == {*SIMPLE, "mwp"}
    photo = [[0, 0, row["width"], row["height"]] for row in table]
    middle = [[w / 4, h / 4, 3 * w / 4, 3 * h / 4] for _, _, w, h in photo]
    centre = [inside(row["width"] // 2, row["height"] // 2, row["boxes"]) for row in table]
    assert baselines["centre_point"]["pointing"]["any_box"] == share_with(centre)
    for protocol in ("merged", "any"):
        for name, boxes in (("whole_image", photo), ("centre_box", middle)):
            one = [hits(box, row, protocol) for box, row in zip(boxes, table, strict=True)]
            assert baselines[name]["recall"][protocol]["1"] == share_with(one)
        listed = [[hits(b, row, protocol) for b in proposals_of(finished, row)] for row in table]
        for k in (1, 5, 10):
            in_order = [any(one[:k]) for one in listed]
            assert baselines["proposal_order"]["recall"][protocol][str(k)] == share_with(in_order)
            drawn = [
                1 - math.comb(len(one) - sum(one), k) / math.comb(len(one), k) for one in listed
            ]
            found = baselines["random_proposal"]["recall"][protocol][str(k)]
            assert found == pytest.approx(sum(drawn) / len(drawn))


def test_a_map_baseline_is_a_run_with_that_map(
    keys: list[str], finished: Path, tmp_path: Path
) -> None:
    plain = ["~maps.cmwp", "+maps.mwp={}", "phrase.combine=mean", "phrase.unknown=centre"]
    plain += ["phrase.centre=null", "phrase.context=0", "baselines=null"]
    run(*keys, f"out={tmp_path / 'out'}", *plain)
    found, baseline = lasting(tmp_path / "out"), lasting(finished)["baselines"]["mwp"]
    ends = {key: found["intervals"][key] for key in ("recall", "pointing")}
    assert baseline == {key: found[key] for key in ends} | {"intervals": ends}
    assert baseline["recall"] != lasting(finished)["recall"]
    assert set(found["baselines"]) == set(SIMPLE)
