"""Keys of stage=point that say which photos are played on, and how chance falls."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from grounding.bootstrap import class_mean_intervals
from tests.pipeline.point.made import metrics, plays, run

pytestmark = pytest.mark.usefixtures("no_pictures")


def test_limit_counts_photos_with_a_class_to_ask_for(
    keys: list[str], root: Path, tmp_path: Path
) -> None:
    (root / "ImageSets/Main/people_first.txt").write_text("1005\n1003\n1001\n1002\n1004\n")
    own = [*keys, "dataset.split=people_first", "methods=[centre]", f"out={tmp_path / 'out'}"]
    run(*own, "limit=2")
    pairs = [("1003", "sofa"), ("1001", "cat"), ("1001", "dog")]
    found = [(row["image"], row["label"]) for row in plays(tmp_path / "out")]
    assert sorted(found) == sorted(pairs)
    assert [image for image, _ in found] == [image for image, _ in pairs]
    assert (metrics(tmp_path / "out")["photos"], metrics(tmp_path / "out")["pairs"]) == (2, 3)


def test_intervals_are_drawn_with_the_seed(
    keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of so few draws that the seed shows."""
    few = partial(class_mean_intervals, resamples=4)
    monkeypatch.setattr("grounding.pointing_metrics.class_mean_intervals", few)
    found = []
    for seed in (1, 2):
        out = tmp_path / str(seed)
        run(*keys, "methods=[centre]", f"seed={seed}", f"out={out}")
        columns = ([row[key] for row in plays(out)] for key in ("hit", "label", "image"))
        hits, labels, images = columns
        (ends,) = few(np.array([hits]).T, labels, images, seed=seed)
        found.append(metrics(out)["methods"]["centre"]["intervals"]["all"])
        assert found[-1] == pytest.approx(ends)
    assert found[0] != found[1]
