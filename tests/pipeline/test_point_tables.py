"""Winners against a slow loop, and what stands in the tables."""

import csv
import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.point_tables import (
    MOST_BARS,
    best_of,
    class_table,
    difficult_flags,
    in_words,
    notes,
    pairs_played,
    summary_table,
    winners,
)
from tests.pipeline.point_metrics import metrics

SHARES = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 1 / 3, 1.0]))


def text_of(made: dict[str, Any]) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summary_table(made))
    return console.export_text()


@given(st.lists(SHARES, min_size=1, max_size=5))
def test_winners_are_those_that_nobody_beats(shares: list[float | None]) -> None:
    methods = {f"m{i}": {"classes": {"cat": {"all": share}}} for i, share in enumerate(shares)}
    expected = []
    for i, share in enumerate(shares):
        beaten = False
        for other in shares:
            beaten = beaten or (share is not None and other is not None and other > share)
        if share and not beaten:
            expected.append(f"m{i}")
    assert winners(methods, "cat", "all") == expected
    assert winners(methods, "dog", "all") == []


def test_class_table() -> None:
    rows = list(csv.DictReader(io.StringIO(class_table(metrics()["methods"]))))
    first = ["class", "pairs", "difficult_pairs", "winner", "winner_difficult", "mwp.all"]
    assert list(rows[0])[:6] == first
    assert [row["winner"] for row in rows] == ["cmwp", "mwp cmwp cam@features.3", "cam@features.3"]
    assert [row["winner_difficult"] for row in rows] == ["cmwp", "", ""]  # 0 wins nothing
    assert [row["cmwp.all"] for row in rows] == ["0.7500", "0.7500", "0.5000"]
    assert [row["cam@features.3.difficult"] for row in rows] == ["0.5000", "0.0000", ""]
    assert [row["pairs"] for row in rows] == ["4", "8", "1200"]


def test_all_but_names_are_numbers() -> None:
    for row in csv.DictReader(io.StringIO(class_table(metrics()["methods"]))):
        for column, cell in row.items():
            if column not in ("class", "winner", "winner_difficult") and cell:
                float(cell)


def test_labels_with_commas_stay_one_cell() -> None:
    made = metrics()["methods"]
    for each in made.values():
        each["classes"] = {'crane, "bird"': each["classes"]["cat"]}
    assert list(csv.reader(io.StringIO(class_table(made))))[1][0] == 'crane, "bird"'


def test_summary_table() -> None:
    lines = [line.split() for line in text_of(metrics()).splitlines() if "features.3" in line]
    assert [line[0] for line in lines] == ["MWP", "c-MWP", "CAM@features.3"]
    assert lines[0] == ["MWP", "50.0", "(40.0–62.5)", "25.0", "79.3", "/", "–", "3", "features.3"]


def test_best_of_a_column_is_bold() -> None:
    table = summary_table(metrics())
    bold = [
        [getattr(cell, "style", "") == "bold" for cell in column.cells]
        for column in table.columns[1:3]
    ]
    assert bold == [[False, True, True], [False, True, False]]  # 2/3 twice; 0.5


def test_nothing_is_best_at_zero() -> None:
    methods: dict[str, dict[str, Any]] = {
        "mwp": {"all": 0.0},
        "cmwp": {"all": 0.0},
        "cam": {"all": None},
    }
    assert best_of(methods, "all") == []


def test_many_maps_without_a_maximum_are_told() -> None:
    made = metrics()
    assert notes(made) == []
    made["methods"]["mwp"] |= {"degenerate": 1000, "at_border": 107}
    made["methods"]["cmwp"] |= {"at_border": 606}  # 50.1 % of 1,209
    assert notes(made) == [
        "MWP: 1,000 of 1,212 maps (82.5 %) are constant or not finite, so they have no maximum and "
        "count as misses.",
        "MWP: 107 of 212 maxima (50.5 %) lie within 15 pixels of the photo's border.",
        "c-MWP: 606 of 1,209 maxima (50.1 %) lie within 15 pixels of the photo's border.",
    ]
    made["methods"]["mwp"] |= {"degenerate": 1212, "at_border": 0}
    made["methods"]["cmwp"] |= {"degenerate": 60, "at_border": 576}
    assert [note.split(" are")[0] for note in notes(made)] == ["MWP: 1,212 of 1,212 maps (100.0 %)"]


def test_where_the_difficult_flags_are_from() -> None:
    counts = {"pairs": 2000, "published": 570, "derived": 575, "both": 565, "agreement": 0.9925}
    published = {"source": "published", **counts, "not_asked": 3}
    assert difficult_flags(published) == (
        "difficult pairs: by the published flags, 570 of the dataset's 2,000; derived from the "
        "annotation there are 575, and the two agree on 1,985 of 2,000 pairs (99.2 %)"
    )
    unknown = published | {"pairs": 0, "agreement": None}
    assert difficult_flags(unknown) == "difficult pairs: by the published flags"
    assert difficult_flags({"source": "derived"}).endswith("derived from the annotation")


def test_published_has_a_column_only_where_it_is_given() -> None:
    made = metrics()
    assert "published" in text_of(made)
    del made["methods"]["mwp"]["published"]
    assert "published" not in text_of(made)


def test_names_in_words() -> None:
    assert in_words("cmwp") == "c-MWP"
    assert in_words("cam × cmwp") == "CAM × c-MWP"
    assert in_words("cmwp_cam") == "c-MWP CAM"
    assert in_words("cmwp_layers") == "c-MWP layers"
    assert in_words("grad_cam") == "Grad-CAM"
    assert in_words("guided_backprop@layer_cam.1") == "guided backprop@layer_cam.1"


def test_pairs_without_a_flag_are_told() -> None:
    assert "5 of them difficult, in" in pairs_played(metrics())
    told = pairs_played({**metrics(), "unflagged_pairs": 1234})
    assert "5 of them difficult (1,234 without a flag), in" in told


def test_too_many_classes_for_bars() -> None:
    found = metrics()
    one = found["methods"]["cmwp"]
    for count, told in ((MOST_BARS, False), (MOST_BARS + 1, True)):
        classes = {str(label): one["classes"]["cat"] for label in range(count)}
        said = notes({**found, "methods": {"cmwp": {**one, "classes": classes}}})
        assert any("too many for bars" in each for each in said) == told
