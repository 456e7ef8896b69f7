"""The page of a pointing game: whole, self-contained, safe from what labels hold."""

import base64
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.point_report import write_point_report
from tests.pipeline.point_metrics import metrics
from tests.pipeline.report.test_report import Page

SETTINGS = {"model": "/data/runs/a/model", "dataset": "VOC2007", "date": "2026-11-23"}


def write(folder: Path, made: dict[str, Any], title: str = "Examples") -> str:
    files = [folder / "a.png", folder / "b.jpg"]
    for file in files:
        Image.new("RGB", (1000, 50), "red").save(file)
    path = folder / "report.html"
    write_point_report(path, made, SETTINGS, [(title, file) for file in files])
    return path.read_text(encoding="utf-8")


def test_all_is_there(tmp_path: Path) -> None:
    page = Page(write(tmp_path, metrics()))
    assert page.texts["h1"] == ["Pointing game on VOC2007"]
    assert page.texts["h2"] == ["Methods", "Pictures", "Classes", "Protocol", "Settings"]
    assert {"50.0", "66.7 ★", "50.0 ★", "79.3 / –", "75.0 ★", "1,200"} <= set(page.texts["td"])
    assert "40.0–62.5" in page.texts["small"]
    assert page.texts["th"].count("c-MWP") == 2
    assert "A hit is near." in page.texts["p"]
    assert "Difficult pairs: derived from the annotation." in page.texts["p"]
    assert {"7", "2", "/data/runs/a/model"} <= set(page.texts["dd"])
    assert "2,000 bootstrap draws of whole photos" in page.texts["p"][1]
    assert "As published (a paper): with the authors' own nets" in page.texts["p"][1]


def test_notes_on_maps_without_a_maximum(tmp_path: Path) -> None:
    made = metrics()
    made["methods"]["mwp"]["degenerate"] = 606
    page = Page(write(tmp_path, made))
    assert any(text.startswith("MWP: 606 of 1,212 maps (50.0 %)") for text in page.texts["p"])


def test_without_published_figures_nothing_is_said_of_them(tmp_path: Path) -> None:
    made = metrics()
    del made["methods"]["mwp"]["published"]
    assert "published" not in write(tmp_path, made)


def test_pictures_are_inside(tmp_path: Path) -> None:
    page = Page(write(tmp_path, metrics()))
    png, jpeg = page.values("src")
    assert png.startswith("data:image/png;base64,")
    assert jpeg.startswith("data:image/jpeg;base64,")
    assert base64.b64decode(jpeg.split(",")[1]) == (tmp_path / "b.jpg").read_bytes()
    assert page.values("alt") == ["Examples"] * 2


def test_nothing_comes_from_outside(tmp_path: Path) -> None:
    html = write(tmp_path, metrics())
    page = Page(html)
    assert "http" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert "script" not in page.tags
    for name in ("src", "href"):
        assert all(value.startswith("data:") for value in page.values(name))


def test_labels_are_text(tmp_path: Path) -> None:
    nasty = '"><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7 * 7 }}'
    made = metrics()
    for each in made["methods"].values():
        each["classes"][nasty] = each["classes"]["cat"]
        each["target"] = nasty
    made |= {"absent": [nasty], "left_out": {nasty: 1}, "rejected": {nasty: 1}}
    made["methods"][nasty] = made["methods"]["mwp"]
    page = Page(write(tmp_path, made, title=nasty))
    assert "script" not in page.tags
    assert "x" not in page.values("src")
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert nasty in page.texts["th"]
    assert nasty in page.texts["figcaption"]


def test_without_difficult_pairs_or_pictures(tmp_path: Path) -> None:
    made = metrics()
    for each in made["methods"].values():
        each["difficult"] = None
    path = tmp_path / "a.html"
    write_point_report(path, made, SETTINGS, [])
    page = Page(path.read_text(encoding="utf-8"))
    assert "Pictures" not in page.texts["h2"]
    assert "–" in page.texts["td"]


def test_same_input_same_page(tmp_path: Path) -> None:
    assert write(tmp_path, metrics()) == write(tmp_path, metrics())
