"""The report: whole, self-contained, safe from what captions hold, the same for the same input."""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from data_prep.errors import UserError
from grounding.localisation_metrics import evaluate
from pipeline.phrase_table import localised
from pipeline.report import write_report
from pipeline.report.tables import methods, tiles
from tests.pipeline.report.phrase_rows import CAPTION, MISSED, UNKNOWN, plain, table_of

VOID = {"meta", "link", "img", "input", "br", "hr"}
SETTINGS = {"model": "small <net>", "dataset": "Entities, dev", "date": "2026-11-23", "gamma": 0.25}


class Page(HTMLParser):
    """Elements, texts and links of a page; fails where elements do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.setdefault(self._open[-1], []).append(data.strip())

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


def write(
    path: Path,
    table: pa.Table,
    photo: Callable[[str], Image.Image] = plain,
    **more: Any,
) -> str:
    metrics = evaluate(localised(table)) | more
    write_report(path / "report.html", table, metrics, SETTINGS, photo)
    return (path / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    changes = [{"photo": f"{i}.jpg", "types": ["animals", "people"][: i % 3]} for i in range(20)]
    missed = [{**MISSED, "photo": f"{i}.jpg"} for i in range(20)]
    table = table_of(*changes, *missed, UNKNOWN)
    baselines = evaluate(localised(table))["baselines"] | {
        "grad_cam": {"pointing": {"any_box": 0.512}}
    }
    return write(
        tmp_path_factory.mktemp("report"),
        table,
        baselines=baselines,
        not_counted={"chain 0": 1234},
        rejected={"missing": 2},
    )


def test_all_is_there(html: str) -> None:
    page = Page(html)
    assert page.texts["h2"] == ["Beside baselines", "By type of thing", "Curves", "Gallery",
                                "Protocols", "Settings"]  # fmt: skip
    assert page.texts["h3"] == ["Best", "Worst", "Random", "Phrases not counted", "Rejected"]
    assert page.tags.count("article") == 3 * 12
    assert page.tags.count("figure") == 4
    assert {"this run", "Grad-CAM", "random proposal (chance)", "upper bound"} <= set(
        page.texts["th"]
    )
    assert {"51.2"} <= set(page.texts["td"])
    assert "1,234" in page.texts["dd"]
    assert "0.25" in page.texts["dd"]


def test_paths_are_short_in_the_title_and_whole_in_the_settings(tmp_path: Path) -> None:
    table = table_of({})
    settings = SETTINGS | {"model": "/data/runs/a/model", "dataset": "/data/flickr/"}
    write_report(tmp_path / "a.html", table, evaluate(localised(table)), settings, plain)
    page = Page((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert page.texts["h1"] == ["Phrase localisation on data/flickr"]
    assert page.texts["p"][0].startswith("Model a/model · 2026-11-23 · ")
    assert page.texts["dd"][-4:-2] == ["/data/runs/a/model", "/data/flickr/"]
    assert page.tags.count("details") == 1


def test_headline_numbers_have_intervals(html: str) -> None:
    tiles = Page(html).texts
    assert tiles["b"][0] == "48.8"  # 20 of 41
    low, high = (float(end) for end in tiles["span"][tiles["span"].index("R@1") + 1].split("–"))
    assert low <= 48.8 <= high


def test_rows_have_their_own_intervals() -> None:
    one = evaluate(localised(table_of({}, MISSED)))
    other = {"recall": {"any": {"5": 0.5}}, "intervals": {"recall": {"any": {"5": [0.4, 0.6]}}}}
    rows = {row.name: row.cells for row in methods(one | {"baselines": {"cam": other}})}
    assert rows["CAM"] == [("–", "")] * 4 + [("50.0", "40.0–60.0")] + [("–", "")] * 2
    ends = one["intervals"]["upper_bound"]
    assert rows["upper bound"][0] == ("100.0", f"{100 * ends[0]:.1f}–{100 * ends[1]:.1f}")
    assert all(interval for _, interval in rows["this run"])
    assert tiles(one)[-1].interval == "100.0–100.0"


def test_nothing_comes_from_outside(html: str) -> None:
    page = Page(html)
    assert "http" not in html
    assert "script" not in page.tags
    assert "@import" not in html
    for name in ("src", "href"):
        assert all(value.startswith(("data:", "#")) for value in page.values(name))
    assert all(part.startswith("#") for part in html.split("url(")[1:])
    assert [value for tag, name, value in page.attributes if (tag, name) == ("link", "href")] == [
        "data:,"
    ]


def test_it_stays_small(html: str) -> None:
    sources = Page(html).values("src")
    assert len(sources) > 60
    assert len(html) - sum(map(len, sources)) + len(sources) * 60_000 < 6_000_000


def test_ids_are_unique_and_links_lead_to_them(html: str) -> None:
    page = Page(html)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    links = [value[1:] for value in page.values("href") if value.startswith("#")]
    assert links
    assert set(links) <= set(ids)
    assert {part.split(")")[0][1:] for part in html.split("url(")[1:]} <= set(ids)


def test_every_picture_is_described(html: str) -> None:
    page = Page(html)
    assert page.tags.count("img") == sum(tag == "img" and name == "alt" and bool(value)
                                         for tag, name, value in page.attributes)  # fmt: skip
    assert f"Photo a: {CAPTION}" in page.values("alt")


def test_captions_are_text(tmp_path: Path) -> None:
    nasty = '"><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7 * 7 }}'
    change = {"caption": nasty, "start": 2, "end": 10, "phrase": nasty, "words": [nasty],
              "dropped": [nasty], "backed_off": [nasty], "types": [nasty, "b"],
              "image_id": nasty}  # fmt: skip
    html = write(tmp_path, table_of(change), not_counted={nasty: 1})
    page = Page(html)
    assert "script" not in page.tags
    assert "x" not in page.values("src")
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert nasty[2:10] in page.texts["mark"]
    assert nasty in page.texts["span"]
    assert "small <net>" in html.replace("&lt;", "<").replace("&gt;", ">")


def test_the_phrase_is_marked_in_its_caption(tmp_path: Path) -> None:
    page = Page(write(tmp_path, table_of({})))
    assert set(page.texts["mark"]) == {"dog"}
    assert "& a <b>cat</b> sit" in page.texts["p"]


def test_boxes_are_drawn_where_they_are(tmp_path: Path) -> None:
    html = write(tmp_path, table_of({}))
    assert html.count('viewBox="0 0 100 50"') == 4  # best and random, twice each
    assert 'class="found first" x="10.0" y="10.0" width="60.0" height="30.0"' in html
    assert 'class="truth" x="60.0" y="10.0" width="10.0" height="10.0"' in html
    assert 'cx="30" cy="20"' in html


@pytest.mark.parametrize(
    ("changes", "best", "worst"),
    [
        ([MISSED], 0, 1),
        ([UNKNOWN, UNKNOWN], 0, 0),
        ([{}, MISSED, {}, MISSED, {}], 2, 2),  # of one photo
        ([{"types": []}], 1, 0),
        ([{"proposals": 0, "hits_merged": 0, "hits_any": 0} | UNKNOWN], 0, 0),
    ],
)
def test_unusual_runs(changes: list[dict[str, Any]], best: int, worst: int, tmp_path: Path) -> None:
    html = write(tmp_path, table_of(*changes))
    Page(html)
    groups = html.split('<section class="group ')[1:]
    shown = [group.count("<article") for group in groups]
    assert shown == [best, worst, min(2, len(changes))]
    assert html.count("There is none.") == shown.count(0)


def test_one_type_needs_no_table(tmp_path: Path) -> None:
    assert "By type of thing" not in write(tmp_path, table_of({}, MISSED))


@pytest.mark.parametrize("error", [UserError("gone"), OSError("broken")])
def test_a_photo_that_is_gone_costs_its_picture_only(error: Exception, tmp_path: Path) -> None:
    def photo(path: str) -> Image.Image:
        if path == "b.jpg":
            raise error
        return plain(path)

    page = Page(write(tmp_path, table_of({}, {"photo": "b.jpg"}), photo))
    assert page.texts["span"].count("no photo") == 2  # best and random
    assert len(page.values("src")) == 4


def test_same_input_same_file(tmp_path: Path) -> None:
    table = table_of({}, MISSED, UNKNOWN)
    assert write(tmp_path, table) == write(tmp_path, table)


def test_the_photo_given_is_left_as_it_was(tmp_path: Path) -> None:
    image = plain("a")
    write(tmp_path, table_of({}), lambda path: image)
    assert image.size == (500, 250)
