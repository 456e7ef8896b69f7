"""Stage `crawl` end to end."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_module

from data_prep.errors import UserError
from data_prep.generator import CrawlSettings, generate_crawl
from pipeline import crawl

SMALL = ("images=5000", "distinct_tags=2000", "users=300")


def run(*overrides: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", ["stage=crawl", *overrides])
    crawl.run(config)


def test_a_crawl_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run(*SMALL, "seed=3", f"out={tmp_path}")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"config.yaml", "metrics.json", "done.json", "crawl/part-00000.parquet"}

    table = pq.read_table(tmp_path / "crawl")
    assert table.schema.field("tags").type == pa.list_(pa.field("element", pa.string()))
    settings = CrawlSettings(5000, seed=3, distinct_tags=2000, users=300)
    generated = pa.Table.from_batches(generate_crawl(settings))
    assert table.to_pylist() == generated.to_pylist()

    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["images"] == 5000
    assert metrics["settings"]["seed"] == 3
    assert metrics["settings"]["tags_mean"] == 24
    assert metrics["parts"] == 1
    assert metrics["users"] == pc.count_distinct(table["user_id"]).as_py()
    assert metrics["null_lists"] == table["tags"].null_count
    assert metrics["tags"] == len(table["tags"].combine_chunks().flatten())
    said = capsys.readouterr()
    assert f"5,000 images of {metrics['users']} users" in said.out
    assert "17 M images → 18,157 tags" in said.out
    assert said.err == ""  # no progress bar where nobody watches

    written = (tmp_path / "crawl" / "part-00000.parquet").stat().st_mtime_ns
    run(*SMALL, "seed=3", f"out={tmp_path}")
    assert "already finished" in capsys.readouterr().out
    assert (tmp_path / "crawl" / "part-00000.parquet").stat().st_mtime_ns == written
    with pytest.raises(UserError, match="holds a finished run with another seed"):
        run(*SMALL, "seed=4", f"out={tmp_path}")


def test_parts_of_several_row_groups_and_no_trace_of_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pa.Table.from_batches(
        generate_crawl(CrawlSettings(5000, distinct_tags=2000, users=300))
    )
    monkeypatch.setattr("data_prep.generator.crawl.BATCH_ROWS", 1000)
    monkeypatch.setattr("pipeline.crawl.PART_BATCHES", 2)
    run(*SMALL, f"out={tmp_path}")
    parts = sorted((tmp_path / "crawl").iterdir())
    assert [part.name for part in parts] == [f"part-0000{part}.parquet" for part in range(3)]
    assert [pq.ParquetFile(part).metadata.num_row_groups for part in parts] == [2, 2, 1]
    assert pq.read_table(tmp_path / "crawl").to_pylist() == whole.to_pylist()
    tags = pq.ParquetFile(parts[0]).metadata.row_group(0).column(2)
    assert tags.path_in_schema == "tags.list.element"
    assert "RLE_DICTIONARY" in tags.encodings

    run("images=1500", *SMALL[1:], f"out={tmp_path}", "overwrite=true")
    assert [part.name for part in (tmp_path / "crawl").iterdir()] == ["part-00000.parquet"]


def test_a_killed_run_does_not_look_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*args: object) -> None:
        raise Killed

    monkeypatch.setattr("data_prep.generator.crawl.BATCH_ROWS", 1000)
    for place in ("pathlib.Path.replace", "pipeline.crawl.write_part", "pipeline.crawl.finish"):
        with monkeypatch.context() as patch:
            patch.setattr(place, killed)
            with pytest.raises(Killed):
                run(*SMALL, f"out={tmp_path}")
        assert not (tmp_path / "done.json").exists()
    (tmp_path / "crawl" / "part-00007.parquet.part").touch()
    run(*SMALL, f"out={tmp_path}")
    assert (tmp_path / "done.json").exists()
    assert [part.name for part in (tmp_path / "crawl").iterdir()] == ["part-00000.parquet"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=1", "images is missing; give images=17000000"),
        ("images=-5", "images=-5: give a number from 1"),
        ("images=many", "images=many: give a whole number"),
        ("images=null", "images=None: give a whole number"),
    ],
)
def test_unusable_keys_touch_nothing(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        run(override, f"out={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()
