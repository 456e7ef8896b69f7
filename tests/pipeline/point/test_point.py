"""Stage point from end to end, against loops over the drawn objects."""

import csv
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from data_prep.images import open_image
from data_prep.voc import VOC_CLASSES
from grounding.classifier import TagClassifier
from tests.pipeline.point.made import (
    METHODS,
    PHOTOS,
    QUICK,
    RENAMED,
    metrics,
    plays,
    rejects,
    run,
    write_coco,
)
from tests.pipeline.report.test_report import Page

ASKED = {
    ("1001", "dog"), ("1001", "cat"), ("1002", "cat"), ("1003", "sofa"), ("1004", "dog"),
}  # fmt: skip
FILES = (
    "classes.csv", "classes_all.png", "config.yaml", "done.json", "examples_random.jpg",
    "metrics.json", "plays.parquet", "report.html",
)  # fmt: skip


def near(x: int, y: int, name: str, label: str) -> bool:
    """Whether a pixel within 15 pixels of the point lies in a box of the class."""
    (width, height), objects = PHOTOS[name]
    inside = np.zeros((height, width), bool)
    for other, (x1, y1, x2, y2), _ in objects:
        if other == label:
            inside[y1:y2, x1:x2] = True
    return any((a - x) ** 2 + (b - y) ** 2 <= 225 for b, a in np.argwhere(inside))


def test_every_pair_is_played_by_every_method(finished: Path) -> None:
    found = plays(finished)
    for method in ("cmwp", "mwp", "centre"):
        own = [row for row in found if row["method"] == method]
        assert {(row["image"], row["label"]) for row in own} == ASKED
        for row in own:
            assert row["hit"] == (
                row["x"] is not None and near(row["x"], row["y"], row["image"], row["label"])
            )
    assert {row["word"] for row in found if row["label"] == "sofa"} == {"couch"}


def test_the_centre_is_the_middle_pixel(finished: Path) -> None:
    for row in plays(finished):
        if row["method"] == "centre":
            width, height = PHOTOS[row["image"]][0]
            assert (row["x"], row["y"]) == (width // 2, height // 2)


def test_points_are_the_maxima_of_the_classifiers_own_maps(finished: Path, model: str) -> None:
    """Asked through `TagClassifier.attention`, the way of stage=attend."""
    tagger = TagClassifier.load(model.removeprefix("model.folder="))
    rows = [row for row in plays(finished) if row["method"] != "centre"]
    for row in rows:
        options = {"method": row["method"], "short_side": 64, "resolution": 28}
        image = open_image(row["photo"])
        (attention,) = tagger.attend(image, [row["word"]], **options).values()
        if row["x"] is None:
            assert attention.max() == attention.min()
        else:
            assert attention[row["y"], row["x"]] == pytest.approx(attention.max(), rel=1e-5)
    assert any(row["x"] is not None for row in rows)


def test_metrics_are_those_of_a_loop(finished: Path) -> None:
    found = metrics(finished)
    assert (found["photos"], found["pairs"], found["difficult_pairs"]) == (
        4,
        5,
        1,
    )  # the cat of 1001
    for method, numbers in found["methods"].items():
        for subset, hard_only in (("all", False), ("difficult", True)):
            hits = defaultdict(list)
            for row in plays(finished):
                if row["method"] == method and (row["difficult"] or not hard_only):
                    hits[row["label"]].append(row["hit"])
            shares = {label: np.mean(each) for label, each in hits.items()}
            assert numbers[subset] == pytest.approx(np.mean(list(shares.values())))
            assert {
                label: each[subset]
                for label, each in numbers["classes"].items()
                if each[subset] is not None
            } == pytest.approx(shares)
        low, high = numbers["intervals"]["all"]
        assert low <= numbers["all"] <= high


def test_what_is_not_asked_is_told(finished: Path) -> None:
    found = metrics(finished)
    assert {"dog", "cat", "sofa"}.isdisjoint(found["absent"])
    assert "person" in found["absent"]
    assert found["left_out"]["classes that the model does not know"] == 2
    assert found["left_out"]["only VOC-difficult objects"] == 1
    assert found["rejected"] == {}


def test_files_and_report(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} >= set(FILES)
    html = (finished / "report.html").read_text()
    assert "c-MWP" in html
    assert "within 15 pixels" in html
    rows = list(csv.reader((finished / "classes.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == ["class", "cat", "dog", "sofa"]


def test_the_report_tells_the_settings_as_one_types_them(finished: Path, model: str) -> None:
    page = Page((finished / "report.html").read_text())
    folder = model.removeprefix("model.folder=")
    told = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert told["net"] == "timm:test_resnet"
    assert told["model.folder"] == folder
    expected = {
        "classes": '{"sofa": "couch"}', "seed": "0", "flip": "false", "published": "null",
        "methods": '["cmwp", "mwp", "centre"]', "residual": "positive", "dataset.split": "test",
    }  # fmt: skip
    assert expected.items() <= told.items()


def test_the_console_tells_whose_difficult_flags_these_are(
    keys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], no_pictures: None
) -> None:
    flags = tmp_path / "flags.txt"
    hard = {"1001": "cat", "1004": "dog"}  # by the rule the cat of 1001 and the person of 1003
    flags.write_text(
        "".join(
            " ".join([name, *(str(int(hard.get(name) == label)) for label in VOC_CLASSES)]) + "\n"
            for name in PHOTOS
        )
    )
    run(*keys, f"dataset.difficult={flags}", "methods=[centre]", f"out={tmp_path / 'out'}")
    printed = " ".join(capsys.readouterr().out.split())
    agreed = metrics(tmp_path / "out")["difficult"]
    assert (agreed["published"], agreed["derived"], agreed["both"]) == (2, 2, 1)
    assert "by the published flags, 2 of the dataset's" in printed
    assert f"the two agree on {agreed['pairs'] - 2} of {agreed['pairs']} pairs (" in printed


def test_maxima_at_the_border_are_counted(finished: Path) -> None:
    for method, numbers in metrics(finished)["methods"].items():
        near = 0
        for row in plays(finished):
            if row["method"] == method and row["x"] is not None:
                width, height = PHOTOS[row["image"]][0]
                inside = 15 <= row["x"] < width - 15 and 15 <= row["y"] < height - 15
                near += not inside
        assert numbers["at_border"] == near


def test_layers_and_blends_side_by_side(
    keys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    blend = "+blends.both={rule: product, cmwp: {short_sides: [64]}, cam: {short_sides: [64, 96]}}"
    more = ["methods=[cmwp,cam,both]", "layers=[7,28]", "examples=1", blend]
    figures = ["published={cmwp@7: [85.1, null], mwp: [79.3, 60.4]}", "published_source=a paper"]
    run(*keys, *more, *figures, f"out={out}")
    found = metrics(out)["methods"]
    assert list(found) == ["cmwp@7", "cmwp@28", "cam", "both"]
    assert found["cmwp@7"]["grid"] < found["cmwp@28"]["grid"]
    assert found["cmwp@7"]["published"] == [0.851, None]
    assert [name for name in found if "published" in found[name]] == ["cmwp@7"]
    assert found["cam"]["target"] is None
    assert (out / "layers.png").is_file()
    printed = capsys.readouterr().out
    assert "85.1" in printed
    assert "as published: a paper" in printed
    assert "As published (a paper)" in (out / "report.html").read_text()
    assert "not asked, since the model does not know them: aeroplane" in printed


@pytest.mark.usefixtures("no_pictures")
def test_masks_of_coco(model: str, tmp_path: Path) -> None:
    """Triangles: the centre of photo 1001 is within 15 pixels of the box, not of the mask."""
    file, images = write_coco(tmp_path / "coco")
    base = [model, "dataset=coco", f"dataset.file={file}", f"dataset.images={images}", RENAMED]
    base += ["methods=[centre]", "tolerance=5", *QUICK]
    hits = {}
    for regions in ("masks", "boxes"):
        out = tmp_path / regions
        run(*base, f"dataset.regions={regions}", f"out={out}")
        hits[regions] = {(row["image"], row["label"]): row["hit"] for row in plays(out)}
    for (name, label), hit in hits["masks"].items():
        (width, height), objects = PHOTOS[name]
        x, y = width // 2, height // 2
        distances = [
            np.hypot(a - x, b - y)
            for other, (x1, y1, x2, y2), _ in objects
            if other == label
            for a in range(x1, x2)
            for b in range(y1, y2)
            # The pixel's middle is under the diagonal from (x1, y1) to (x2, y2).
            if (b + 0.5 - y1) * (x2 - x1) > (a + 0.5 - x1) * (y2 - y1)
        ]
        if abs(min(distances) - 5) > 1.5:  # the outline's pixels are pycocotools' affair
            assert hit == (min(distances) <= 5)
    assert hits["masks"] != hits["boxes"]
    assert all(hits["boxes"][pair] for pair, hit in hits["masks"].items() if hit)


@pytest.mark.usefixtures("no_pictures")
def test_unusable_photos_are_kept_aside(model: str, root: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(root, tmp_path / "voc"))
    (folder / "JPEGImages" / "1001.jpg").unlink()
    (folder / "JPEGImages" / "1002.jpg").write_bytes(b"no photo")
    image = open_image(folder / "JPEGImages" / "1003.jpg")
    image.resize((50, 50)).save(folder / "JPEGImages" / "1003.jpg")
    (folder / "pairs.txt").write_text("1002" + "\t0" * 20 + "\n")
    keys = [model, f"dataset.root={folder}", f"dataset.difficult={folder / 'pairs.txt'}", METHODS]
    run(*keys, RENAMED, *QUICK, f"out={tmp_path / 'out'}")
    assert metrics(tmp_path / "out")["photos"] == 1
    assert metrics(tmp_path / "out")["unflagged_pairs"] == 1  # the file tells of 1002 alone
    codes = {(Path(each["where"]).stem, each["code"]) for each in rejects(tmp_path / "out")}
    assert {("1001", "missing"), ("1002", "not an image"), ("1003", "other size")} <= codes
    assert any(code == "no difficult flags" for _, code in codes)
