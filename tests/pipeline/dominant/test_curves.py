"""Curves of a tuning: told apart, beside the legend, marked where they were chosen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.dominant_curves import draw_curves


def tuned(factor: float) -> dict[str, Any]:
    cut = {
        "factors": [0.2, 0.4, 0.6],
        "tuning_errors": [0.5, 0.25, 1.0],
        "factor": factor,
        "tuning_error": 0.25,
    }
    return {"thresholds": {"max": cut, "mean": cut}}


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that were saved."""
    saved: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **_: saved.append(self))
    return saved


def test_curves_are_in_per_cent_and_the_chosen_factor_is_marked(figures: list[Figure]) -> None:
    draw_curves({"cmwp": tuned(0.4)}, Path("curves.png"))
    (figure,) = figures
    assert len(figure.axes) == 2
    for axes in figure.axes:
        curve, chosen = axes.lines
        assert np.asarray(curve.get_xydata()).tolist() == [[0.2, 50], [0.4, 25], [0.6, 100]]
        assert np.asarray(chosen.get_xydata()).tolist() == [[0.4, 25]]
    assert "maximum" in figure.axes[0].get_xlabel()
    assert "mean" in figure.axes[1].get_xlabel()


def test_lines_are_told_apart_beside_the_curves(figures: list[Figure]) -> None:
    names = [f"{method}@{layer}" for method in ("cmwp", "mwp", "wta") for layer in (28, 14, 7)]
    draw_curves({name: tuned(0.4) for name in [*names, "cam", "mine"]}, Path("curves.png"))
    (figure,) = figures
    curves, dots = figure.axes[0].lines[::2], figure.axes[0].lines[1::2]
    assert len({line.get_color() for line in curves}) == 11
    assert [line.get_color() for line in curves] == [dot.get_color() for dot in dots]
    figure.draw_without_rendering()
    (legend,) = figure.legends
    top = legend.get_window_extent().y1
    assert all(axes.xaxis.label.get_window_extent().y0 >= top for axes in figure.axes)
    assert [text.get_text() for text in legend.get_texts()][-1] == "chosen threshold"


def test_same_metrics_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_curves({"cmwp": tuned(0.4)}, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
