"""Stage `scenes` end to end."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_module
from PIL import Image

from data_prep.errors import UserError
from data_prep.scenes import SceneSettings, draw_scene, uploads
from data_prep.scenes.nouns import NOUNS
from pipeline import clean, scenes

SMALL = ("images=24", "captioned=6", "size=160", "threads=1")


def run(*overrides: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", ["stage=scenes", *overrides])
    scenes.run(config)


def files(folder: Path) -> dict[str, bytes]:
    """Give what the stage drew and wrote, less what tells the time."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return {name: found[name] for name in found if not name.endswith((".json", "config.yaml"))}


def test_scenes_are_drawn_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run(*SMALL, "seed=3", f"out={tmp_path}")
    table = pq.read_table(tmp_path / "crawl")
    assert table.schema.field("tags").type == pa.list_(pa.field("element", pa.string()))
    rows = list(uploads(SceneSettings(24, 6, seed=3, size=160)))
    assert table["image_id"].to_pylist() == [row.image_id for row in rows]
    assert table["user_id"].to_pylist() == [row.user_id for row in rows]
    assert table["tags"].to_pylist() == [row.tags for row in rows]
    for row, width, height in zip(rows, table["width"], table["height"], strict=True):
        with Image.open(tmp_path / "images" / f"{row.image_id}.jpg") as image:
            assert image.size == (width.as_py(), height.as_py()) == draw_scene(row.plan).image.size

    entities = tmp_path / "entities"
    ids = {
        *(entities / "val.txt").read_text().split(),
        *(entities / "test.txt").read_text().split(),
    }
    assert len(ids) == 6
    for kind in ("Sentences", "Annotations", "images"):
        assert {path.stem for path in (entities / kind).iterdir()} == ids

    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["images"], metrics["captioned"]) == (24, 6)
    assert metrics["users"] == len({row.user_id for row in rows})
    assert metrics["nouns"].keys() <= NOUNS.keys()
    assert metrics["settings"]["seed"] == 3
    with Image.open(tmp_path / "contact_sheet.png") as sheet:
        assert min(sheet.size) > 300
    said = capsys.readouterr()
    assert f"24 scenes of {metrics['users']} users" in said.out
    assert said.err == ""  # no progress bar where nobody watches

    before = (tmp_path / "contact_sheet.png").stat().st_mtime_ns
    run(*SMALL, "seed=3", "threads=2", f"out={tmp_path}")
    assert "already finished" in capsys.readouterr().out
    assert (tmp_path / "contact_sheet.png").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="holds a finished run with another seed"):
        run(*SMALL, "seed=4", f"out={tmp_path}")
    run("images=3", *SMALL[1:], "overwrite=true", f"out={tmp_path}")
    assert len(list((tmp_path / "images").iterdir())) == 3


def test_any_number_of_processes_draws_the_same_bytes(tmp_path: Path) -> None:
    run(*SMALL, f"out={tmp_path / 'one'}")
    run(*SMALL, "threads=2", f"out={tmp_path / 'two'}")
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert one == two
    assert len(one) == 24 + 1 + 1 + 3 * 6 + 3


def test_a_killed_run_starts_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    run(*SMALL, f"out={tmp_path / 'whole'}")
    for place in ("_draw", "write_entities", "_write_crawl", "finish"):
        with monkeypatch.context() as patch:
            patch.setattr(scenes, place, killed)
            with pytest.raises(KeyboardInterrupt):
                run(*SMALL, "images=30", f"out={tmp_path / 'out'}")
        assert not (tmp_path / "out" / "done.json").exists()
    run(*SMALL, f"out={tmp_path / 'out'}")
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_files_of_others_are_kept(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "holiday.jpg").touch()
    with pytest.raises(UserError, match="holds other files"):
        run(*SMALL, f"out={tmp_path}")
    assert [path.name for path in tmp_path.rglob("*")] == ["images", "holiday.jpg"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("images=0", "images=0: give a number from 1"),
        ("images=-2", "images=-2: give a number from 1"),
        ("size=10", "size=10: give a number from 160"),
        ("alphabetical=2", "alphabetical=2: give a number from 0 to 1"),
        ("few_tags=some", "few_tags=some: give a number"),
        ("threads=0", "threads=0: give a whole number from 1"),
        ("threads=two", "threads=two: give a whole number from 1"),
    ],
)
def test_unusable_keys_touch_nothing(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        run(override, f"out={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()


def test_the_clean_stage_keeps_about_half_and_every_noun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual number of scenes; drawing them is left out, it takes too long here."""
    monkeypatch.chdir(tmp_path)
    rows = list(uploads(SceneSettings()))
    folder = tmp_path / "runs" / "demo" / "scenes" / "crawl"
    folder.parent.mkdir(parents=True)
    scenes._write_crawl(folder, rows)
    with initialize_config_module("conf", version_base="1.3"):
        choice = ("stage=clean", "run=demo", "data=scenes", "clean.min_frequency=20", "threads=1")
        config = compose("config", list(choice))
    clean.run(config)
    funnel = json.loads(Path("runs/demo/clean/metrics.json").read_text())
    assert funnel["input"] == 2400
    assert 0.4 < funnel["kept"] / 2400 < 0.65
    assert all(
        funnel["dropped"][why] > 50 for why in ("few_tags", "alphabetical", "near_duplicate")
    )
    vocabulary = pq.read_table("runs/demo/clean/vocabulary.parquet")
    assert set(NOUNS) <= set(vocabulary["tag"].to_pylist())
