"""The table of phrases, as the metrics see it."""

from pipeline.phrase_table import localised
from tests.pipeline.report.phrase_rows import ROW, UNKNOWN, table_of


def test_rows_become_phrases() -> None:
    first, second = localised(table_of({}, UNKNOWN))
    assert list(first.boxes) == [(10, 10, 60, 40), (60, 10, 70, 20)]
    assert first.point == (30, 20)
    assert first.types == ("animals",)
    assert (first.rank_merged, first.first_merged, first.first_any) == (1, 3, None)
    assert (first.proposals, first.hits_merged, first.hits_any) == (10, 2, 1)
    assert (first.photo, first.width, first.height, first.phrase) == ("a.jpg", 100, 50, "dog")
    assert second.point is None
    assert second.rank_any is None
    assert second.out_of_vocabulary


def test_a_row_has_every_column() -> None:
    assert list(ROW) == table_of({}).column_names
