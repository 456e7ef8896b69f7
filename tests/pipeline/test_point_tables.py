"""Winners against a slow loop, and what stands in the tables."""

import csv
import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.point_tables import class_table, in_words, summary_table, winners
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
        if share is not None and not beaten:
            expected.append(f"m{i}")
    assert winners(methods, "cat", "all") == expected
    assert winners(methods, "dog", "all") == []


def test_class_table() -> None:
    rows = list(csv.reader(io.StringIO(class_table(metrics()["methods"]))))
    assert rows[0][:5] == ["class", "pairs", "difficult pairs", "MWP: All", "MWP: Difficult"]
    assert rows[0][-1] == "CAM@features.3: Difficult"
    assert rows[1:] == [
        ["cat", "4", "2", "50.0", "50.0", "75.0*", "100.0*", "25.0", "50.0"],
        ["dog", "8", "3", "75.0*", "0.0*", "75.0*", "0.0*", "75.0*", "0.0*"],
        ["cow", "1200", "0", "25.0", "", "50.0", "", "100.0*", ""],
    ]


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


def test_published_has_a_column_only_where_it_is_given() -> None:
    made = metrics()
    assert "published" in text_of(made)
    del made["methods"]["mwp"]["published"]
    assert "published" not in text_of(made)


def test_names_in_words() -> None:
    assert in_words("cmwp") == "c-MWP"
    assert in_words("cam × cmwp") == "CAM × c-MWP"
    assert in_words("guided_backprop@layer_cam.1") == "guided backprop@layer_cam.1"
