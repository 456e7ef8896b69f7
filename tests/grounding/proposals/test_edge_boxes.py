"""Edge Boxes with a structured forest made by hand: one tree that asks for a strong gradient."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.errors import UserError
from grounding.proposals.boxes import NoProposals
from grounding.proposals.edge_boxes import EdgeBoxes

pytest.importorskip("cv2.ximgproc")

OPTIONS = {
    **{"stride": 2, "shrinkNumber": 2, "patchSize": 32, "patchInnerSize": 16},
    **{"numberOfGradientOrientations": 4, "gradientSmoothingRadius": 0},
    **{"regFeatureSmoothingRadius": 2, "ssFeatureSmoothingRadius": 8},
    **{"gradientNormalizationRadius": 4, "selfsimilarityGridSize": 5},
    **{"numberOfTrees": 1, "numberOfTreesToEvaluate": 1},
}
GRADIENT_AT_CENTRE = 3 * 256 + 8 * 16 + 8  # fourth channel of 16×16 cells
CENTRE = [16 * y + x for y in (7, 8) for x in (7, 8)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write a root and two leaves; the second says: there is an edge in the centre, 32 votes."""
    votes = CENTRE * 32
    lines = [
        *("%YAML:1.0", "---", "options:", *(f"   {key}: {n}" for key, n in OPTIONS.items())),
        *("childs: [ 2, 0, 0 ]", f"featureIds: [ {GRADIENT_AT_CENTRE}, 0, 0 ]"),
        *("thresholds: [ 0.05, 0., 0. ]", f"edgeBoundaries: [ 0, 0, 0, {len(votes)} ]"),
        f"edgeBins: {votes}",
    ]
    file = tmp_path_factory.mktemp("model") / "model.yml"
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def finder(model: str | None, **changed: object) -> EdgeBoxes:
    keys = {"long_side": None, "max_boxes": 50, "alpha": 0.65, "beta": 0.75, "min_score": 0.01}
    return EdgeBoxes(model, **(keys | changed))  # type: ignore[arg-type]


def drawn(scale: int = 1) -> Image.Image:
    picture = np.full((160, 240, 3), 60, np.uint8)
    picture[20:80, 140:220] = (40, 60, 230)
    return Image.fromarray(picture.repeat(scale, 0).repeat(scale, 1))


@pytest.mark.parametrize(("scale", "long_side"), [(1, None), (3, 240)])
def test_finds_what_is_drawn(model: str, scale: int, long_side: int | None) -> None:
    """The first box encloses the rectangle by some pixels, at full size and scaled back."""
    edge_boxes = pickle.loads(pickle.dumps(finder(model, long_side=long_side)))
    found = edge_boxes.generate(drawn(scale), "")
    x1, y1, x2, y2 = found.boxes[0] / scale
    assert 125 < x1 <= 140
    assert 5 < y1 <= 20
    assert 220 <= x2 < 235
    assert 80 <= y2 < 95
    assert found.scores is not None
    assert found.scores.shape == (len(found.boxes),)
    assert (np.diff(found.scores) <= 0).all()
    assert len(edge_boxes.generate(drawn(scale), "").boxes) == len(found.boxes)


def test_max_boxes(model: str) -> None:
    assert len(finder(model, max_boxes=3).generate(drawn(), "").boxes) == 3


def test_a_photo_without_edges_has_no_boxes(model: str) -> None:
    found = finder(model).generate(Image.new("RGB", (90, 60), "grey"), "")
    assert found.boxes.shape == (0, 4)
    assert found.scores is not None
    assert found.scores.shape == (0,)


def test_a_photo_that_opencv_refuses(model: str) -> None:
    with pytest.raises(NoProposals, match="^strip: OpenCV fails") as error:
        finder(model).generate(Image.new("RGB", (200, 3)), "strip")
    assert error.value.code == "opencv"


def test_models_that_are_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.yml"
    damaged.write_text("hello")
    for file, message in (
        (None, "proposals.model_file is missing"),
        (str(tmp_path / "none.yml"), "no such file"),
        (str(damaged), "no structured forest"),
    ):
        with pytest.raises(UserError, match=message):
            finder(file)


@pytest.mark.parametrize(
    ("key", "value"),
    [("max_boxes", 0), ("alpha", 1.0), ("beta", None), ("min_score", -1), ("long_side", "x")],
)
def test_refused(model: str, key: str, value: object) -> None:
    with pytest.raises(UserError, match=f"^proposals.{key}={value}: give "):
        finder(model, **{key: value})
