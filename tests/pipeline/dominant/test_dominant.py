"""Stage `dominant` end to end on drawn photos in the layout of VOC."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from PIL import Image

from data_prep.errors import UserError
from data_prep.images import open_annotated
from grounding.classifier import TagClassifier
from grounding.dominant import FACTORS
from pipeline import photo_maps
from pipeline.method_lines import method_lines
from tests.grounding.test_dominant import flood_fill
from tests.pipeline.dominant.made import TRAIN, VAL, metrics, rows, run, write_voc

LINES = {"cmwp@28", "cmwp@14", "mwp@28", "mwp@14"}


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union, by counting pixels."""
    grids = np.zeros((2, 48, 60), bool)
    for grid, box in zip(grids, (one, other), strict=True):
        x1, y1, x2, y2 = map(int, box)
        grid[y1:y2, x1:x2] = True
    return float(grids.all(0).sum() / grids.any(0).sum())


def test_what_is_left_behind(keys: list[str], tmp_path: Path, capsys: Any) -> None:
    run(*keys, "published={cmwp@28: 38.7}", "published_source=paper", f"out={tmp_path / 'out'}")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    always = {"config.yaml", "metrics.json", "done.json"}
    assert names == {*always, "dominant.parquet", "curves.png"}
    found = metrics(tmp_path / "out")
    counts = ("photos", "pairs", "tuning_photos", "tuning_pairs")
    assert [found[key] for key in counts] == [3, 3, 2, 2]
    assert found["absent"][-1] == "purple"
    assert found["photos_left_out"] == {"several classes": 3}  # t3, v3, v6
    assert found["left_out"] == {"classes that the model does not know": 1}  # v4
    assert found["methods"].keys() == LINES
    table = rows(tmp_path / "out")
    assert len(table) == 3 * 4 * 2
    for name, numbers in found["methods"].items():
        assert numbers.get("published") == (0.387 if name == "cmwp@28" else None)
        for kind, cut in numbers["thresholds"].items():
            own = [row for row in table if (row["method"], row["threshold"]) == (name, kind)]
            assert [row["image"] for row in own] == ["v1", "v2", "v5"]
            assert cut["error"] == sum(not row["hit"] for row in own) / 3
            low, high = cut["interval"]
            assert 0 <= low <= cut["error"] <= high <= 1
            errors = cut["tuning_errors"]
            assert cut["tuning_error"] == min(errors)
            assert errors[cut["factors"].index(cut["factor"])] == min(errors)
            assert {row["factor"] for row in own} == {cut["factor"]}
    whole = [iou((0, 0, 60, 48), VAL[image][0][1]) >= 0.5 for image in ("v1", "v2", "v5")]
    assert found["baselines"]["whole_image"]["error"] == whole.count(False) / 3
    middle = [
        max(iou((15, 12, 45, 36), box) for _, box in VAL[image]) >= 0.5
        for image in ("v1", "v2", "v5")
    ]
    assert found["baselines"]["centre_box"]["error"] == middle.count(False) / 3
    shown = capsys.readouterr().out
    assert "c-MWP@28" in shown
    assert "38.7" in shown
    assert "as published: paper" in shown
    assert "of the 3 pairs of photo and class in 3 photos the share" in shown
    assert "on 2 other pairs in 2 photos" in shown
    assert "not asked, since the model does not know them:" in shown


def test_boxes_are_those_of_the_classifiers_maps(finished: Path, model: Path, root: Path) -> None:
    tagger = TagClassifier.load(model)
    for row in rows(finished):
        method, layer = row["method"].split("@")
        photo = root / "JPEGImages" / f"{row['image']}.jpg"
        how = {"short_side": 64, "resolution": int(layer), "method": method}
        attention = tagger.attend(photo, [row["word"]], **how)[row["word"]]
        whole = attention.max() if row["threshold"] == "max" else attention.mean(dtype=float)
        expected = flood_fill(attention >= row["factor"] * whole)
        box = [row[corner] or 0 for corner in ("x1", "y1", "x2", "y2")]
        assert np.abs(np.array(box) - expected).max() <= 1  # its sum is 1 in the stage: rounding
        best = max(iou(box, truth) for label, truth in VAL[row["image"]] if label == row["label"])
        assert row["iou"] == pytest.approx(best, abs=1e-6)
        assert row["hit"] == (row["iou"] >= 0.5)


def test_the_threshold_is_the_best_on_the_tuning_photos(keys: list[str], tmp_path: Path) -> None:
    """Photos change places: the error at the factor then tuned stands in the first curve."""
    keys = [*keys, "methods=[mwp]", "layers=[28]", "pairs=all", "thresholds=max"]
    run(*keys, f"out={tmp_path / 'out'}")
    numbers = metrics(tmp_path / "out")["methods"]["mwp"]["thresholds"]["max"]
    run(*keys, "dataset.split=train", "tune_split=val", f"out={tmp_path / 'swapped'}")
    other = metrics(tmp_path / "swapped")["methods"]["mwp"]["thresholds"]["max"]
    place = FACTORS["max"].tolist().index(other["factor"])
    assert other["error"] == pytest.approx(numbers["tuning_errors"][place])


def test_all_pairs(keys: list[str], tmp_path: Path) -> None:
    figures = "published={cmwp@28: 38.7, cmwp@14: 41.2}"  # of a recipe for two layers
    run(*keys, "pairs=all", "thresholds=max", "layers=[28]", figures, f"out={tmp_path / 'out'}")
    found = metrics(tmp_path / "out")
    assert found["methods"]["cmwp"]["published"] == 0.387
    assert (found["pairs"], found["photos"], found["tuning_pairs"]) == (6, 5, 4)
    assert found["methods"].keys() == {"cmwp", "mwp"}
    assert found["methods"]["cmwp"]["thresholds"].keys() == {"max"}
    assert found["photos_left_out"] == {"several classes": 0}
    reasons = {"classes that the model does not know": 1, "only VOC-difficult objects": 1}
    assert found["left_out"] == reasons


def test_half_of_the_photos_tunes(keys: list[str], tmp_path: Path) -> None:
    quick = [*keys, "pairs=all", "tune_split=null", "methods=[cmwp]", "layers=[28]"]
    measured = []
    for seed in range(2):
        run(*quick, f"seed={seed}", f"out={tmp_path / str(seed)}")
        found = metrics(tmp_path / str(seed))
        assert (found["photos"], found["tuning_photos"]) == (3, 2)
        measured.append({row["image"] for row in rows(tmp_path / str(seed))})
    assert measured[0] != measured[1]
    run(*quick, "seed=1", f"out={tmp_path / 'again'}")
    assert rows(tmp_path / "again") == rows(tmp_path / "1")


def test_unusable_photos_are_told_and_the_others_count(
    keys: list[str], own: Path, tmp_path: Path, capsys: Any
) -> None:
    (own / "JPEGImages" / "v1.jpg").write_bytes(b"no photo")
    Image.new("RGB", (48, 60)).save(own / "JPEGImages" / "v2.jpg")
    run(*keys, f"dataset.root={own}", f"out={tmp_path / 'out'}")
    found = metrics(tmp_path / "out")
    assert found["pairs"] == 1
    assert found["rejected"] == {"not an image": 1, "other size": 1}
    lines = (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()
    assert [Path(json.loads(line)["where"]).name for line in lines] == ["v1.jpg", "v2.jpg"]
    assert "problems: not an image 1, other size 1" in capsys.readouterr().out


def test_no_usable_photo(keys: list[str], own: Path, finished: Path, tmp_path: Path) -> None:
    keys = [*keys, f"dataset.root={own}", f"out={tmp_path / 'out'}"]
    for name in TRAIN:
        (own / "JPEGImages" / f"{name}.jpg").write_bytes(b"no photo")
    with pytest.raises(
        UserError, match="none of 2 photos to tune on can be used; the first: "
    ) as e:
        run(*keys)
    assert "\n" not in str(e.value)
    write_voc(own, "again", TRAIN)
    run(*keys)
    assert metrics(tmp_path / "out")["methods"] == metrics(finished)["methods"]


def test_a_stopped_run_goes_on(
    keys: list[str], finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    opened: list[str] = []

    def until_the_fourth(path: Path, size: tuple[int, int], max_pixels: int) -> Image.Image:
        opened.append(path.stem)
        if len(opened) == 4:
            raise KeyboardInterrupt
        return open_annotated(path, size, max_pixels)

    monkeypatch.setattr(photo_maps, "open_annotated", until_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run(*keys, f"out={tmp_path / 'out'}")
    with pytest.raises(UserError, match="unfinished run with another pairs"):
        run(*keys, "pairs=all", f"out={tmp_path / 'out'}")
    run(*keys, f"out={tmp_path / 'out'}")
    assert opened == ["t1", "t2", "v1", "v2", "v2", "v5"]
    assert rows(tmp_path / "out") == rows(finished)
    same = [metrics(out) | {"seconds": 0} for out in (tmp_path / "out", finished)]
    assert same[0] == same[1]
    run(*keys, f"out={tmp_path / 'out'}")
    assert "already finished" in capsys.readouterr().out


def test_the_published_recipe_names_its_lines() -> None:
    with initialize_config_module("conf", version_base="1.3"):
        recipe = "experiment=dominant/googlenet_imagenet"
        config = compose("config", ["stage=dominant", recipe])
    lines = method_lines(config)
    assert [line.name for line in lines] == list(config.published)
    assert config.model.name == "googlenet"
    assert [line.layer for line in lines] == [28, 14]
