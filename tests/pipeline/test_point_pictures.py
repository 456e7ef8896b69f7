"""Bars as high as their numbers, stars on winners, colours that stay."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image, ImageColor

from pipeline import point_pictures
from pipeline.point_pictures import COLOURS, LayerAccuracy, class_bars, colours_of, layer_curves
from tests.pipeline.point_metrics import metrics, numbers


def coloured(path: Path, colour: str) -> np.ndarray:
    """Where a picture has this very colour: (H, W) bool."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return (pixels == ImageColor.getrgb(colour)).all(axis=2)


def drawn(path: Path, methods: dict[str, Any], subset: str = "all") -> Path:
    class_bars(methods, path, subset)
    return path


def test_bars_are_as_high_as_their_shares(tmp_path: Path) -> None:
    path = drawn(tmp_path / "a.png", metrics()["methods"])
    heights = coloured(path, COLOURS["cmwp"])[120:].sum(axis=0)  # below the legend
    starts = np.flatnonzero((heights[1:] > 0) & (heights[:-1] == 0)) + 4
    bars = heights[starts]
    assert len(bars) == 3
    assert bars / bars.max() == pytest.approx([1, 1, 2 / 3], abs=0.03)


def test_a_star_stands_on_the_winner_alone(tmp_path: Path) -> None:
    lost = numbers((0.5, 0.5, 0.5), (None,) * 3)
    won = numbers((0.75, 0.75, 0.75), (None,) * 3)
    path = drawn(tmp_path / "a.png", {"mwp": lost, "cam": won})
    dark = np.asarray(Image.open(path).convert("L")) < 90
    for method, has_star in (("mwp", False), ("cam", True)):
        bars = coloured(path, COLOURS[method])
        bars[:120] = False
        top = np.nonzero(bars)[0].min()
        edges = np.flatnonzero(np.diff(bars[top + 10].astype(int)))  # of the bars, left and right
        above = dark[top - 25 : top - 2, edges[0] + 5 : edges[1] - 5]
        assert above.any() == has_star


def test_no_difficult_pair_at_all_can_be_drawn(tmp_path: Path) -> None:
    made = {"cmwp": numbers((0.5, 0.5, 0.5), (None, None, None))}
    path = drawn(tmp_path / "a.png", made, "difficult")
    assert coloured(path, COLOURS["cmwp"])[120:].sum() == 0
    assert (np.asarray(Image.open(path).convert("L"))[120:] < 200).any()  # it says so


def title_of(methods: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    figures = []
    monkeypatch.setattr(point_pictures, "_save", lambda figure, path: figures.append(figure))
    drawn(tmp_path / "a.png", methods)
    return " ".join(figures[0].legends[0].get_title().get_text().split())


def test_the_title_names_who_wins_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shares = {"cmwp": (1.0, 0.5, 0.0), "cmwp_cam": (1.0, 0.75, 0.0), "mwp": (0.0, 0.0, 0.0)}
    methods = {name: numbers(each, (None,) * 3) for name, each in shares.items()}
    title = title_of(methods, tmp_path, monkeypatch)
    assert title == "All pairs: c-MWP CAM wins most classes, 2 of 3 (alone or tied)"
    methods["cmwp"] = methods["cmwp_cam"]
    title = title_of(methods, tmp_path, monkeypatch)
    assert title.endswith("c-MWP and c-MWP CAM win most classes, 2 of 3 each (alone or tied)")
    for alone in ({"cmwp": methods["cmwp"]}, {"mwp": methods["mwp"], "cam": methods["mwp"]}):
        assert title_of(alone, tmp_path, monkeypatch) == "All pairs"  # there is no winner


def test_no_star_at_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(point_pictures, "_save", lambda figure, path: figures.append(figure))
    drawn(tmp_path / "a.png", {"mwp": numbers((0.0, 0.5, 0.0), (None,) * 3)})
    texts = [text.get_text() for text in figures[0].axes[0].texts]
    assert texts == ["★"]  # and no note that nothing was asked


@pytest.mark.parametrize("count", [1, 20, 81])
def test_any_number_of_classes_and_odd_names(tmp_path: Path, count: int) -> None:
    one = metrics()["methods"]["cmwp"]["classes"]["cat"]
    labels = ["$x_{", "a very long name of a class that goes on", *map(str, range(count))]
    each = {**metrics()["methods"]["cmwp"], "classes": dict.fromkeys(labels[:count], one)}
    path = drawn(tmp_path / "a.png", {f"line {i}": each for i in range(12)})
    width, height = Image.open(path).size
    assert width == 1590
    assert height > 150 * count / 10


def test_same_metrics_same_file(tmp_path: Path) -> None:
    first, second = (drawn(tmp_path / name, metrics()["methods"]) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()


def test_colours_of_known_methods_stay_and_others_differ() -> None:
    assert len(set(COLOURS.values())) == len(COLOURS)
    mixed = colours_of(["one", "cam", "cmwp", "two", "three"])
    assert mixed["cam"] == COLOURS["cam"]
    assert mixed["cmwp"] == COLOURS["cmwp"]
    assert len(set(mixed.values())) == 5
    assert len(colours_of(map(str, range(30)))) == 30


def test_layers_of_a_method_are_shades_of_its_colour() -> None:
    shades = colours_of(["cmwp@28", "cam", "cmwp@14", "cmwp@7"])
    assert shades["cmwp@28"] == COLOURS["cmwp"]
    assert shades["cam"] == COLOURS["cam"]
    parts = [to_rgb(shades[f"cmwp@{layer}"]) for layer in (28, 14, 7)]
    assert parts == sorted(set(parts))  # each paler
    hues = [(1 - red) / (1 - green) for red, green, _ in parts]
    assert hues == pytest.approx([hues[0]] * 3, rel=0.05)


def point(layer: str, side: int, share: float) -> LayerAccuracy:
    return LayerAccuracy(layer, side, share, None, {"all": (share - 0.1, share + 0.1)})


def test_layers_go_from_fine_to_coarse(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert layer_curves({"cmwp": [point("7", 7, 0.2), point("3", 28, 0.9)]}, path)
    rows, columns = np.nonzero(coloured(path, COLOURS["cmwp"])[90:])
    left, right = rows[columns < columns.min() + 15], rows[columns > columns.max() - 15]
    assert left.mean() < right.mean() - 50  # the finer layer is better, so higher


def test_without_difficult_pairs_there_is_one_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(point_pictures, "_save", lambda figure, path: figures.append(figure))
    points = [point("7", 7, 0.2), point("3", 28, 0.9)]
    layer_curves({"cmwp": points}, tmp_path / "a.png")
    hard = [each._replace(difficult=0.1) for each in points]
    layer_curves({"cmwp": hard}, tmp_path / "a.png")
    titles = [[axes.get_title() for axes in figure.axes] for figure in figures]
    assert titles == [["All pairs"], ["All pairs", "Difficult pairs"]]


def test_one_layer_is_not_drawn(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert not layer_curves({"cmwp": [point("7", 7, 0.2)], "mwp": [point("7", 7, 0.1)]}, path)
    assert not path.exists()
