"""How a crawl is written, said in the wrong way."""

from pathlib import Path
from typing import Any

import pytest

from data_prep.crawl import Source, open_crawl
from data_prep.errors import UserError
from tests.data_prep.crawl.reading import write_parquet


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": 5}, "crawl=5: give text"),
        ({"format": None}, r"data\.format=None: give text"),
        ({"image_id": None}, r"data\.image_id=None: give text"),
        ({"user_id": 5}, r"data\.user_id=5: give text"),
        ({"tags": ["a"]}, r"data\.tags=\['a'\]: give text"),
        ({"tags_delimiter": 5}, r"data\.tags_delimiter=5: give text"),
        ({"tags_delimiter": ""}, r"data\.tags_delimiter is empty"),
        ({"order_by": 5}, r"data\.order_by=5: give text"),
        ({"carry": 5}, r"data\.carry=5: give names of columns, as in \[title,url\]"),
        ({"carry": ["a", 5]}, r"data\.carry=\['a', 5\]: give names"),
        ({"carry": {"a": 1}}, r"data\.carry=.*: give names"),
        ({"tags_key": "data.captions", "tags": 1}, r"data\.captions=1: give text"),
    ],
)
def test_values_of_the_wrong_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Source(**{"path": "a.parquet", **options})


@pytest.mark.parametrize("carry", ["note", ["note"], ("note",)])
def test_carry_as_people_write_it(carry: Any, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"note": list("abcd"), "n": [1, 2, 3, 4]})
    source = Source(str(path), carry=carry)
    assert source.carry == ("note",)
    assert open_crawl(source).schema.names == ["image_id", "user_id", "tags", "note"]


@pytest.mark.parametrize("options", [{"tags": "image_id"}, {"user_id": "image_id"}])
def test_one_column_for_two(options: dict[str, str], tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", {"image_id": list("abcd")})
    with pytest.raises(UserError, match=r"data\.tags: two of them name one column"):
        open_crawl(Source(str(path), **options))  # type: ignore[arg-type]
