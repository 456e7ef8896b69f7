"""The stage contract, on a stage that does nothing."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from data_prep.errors import UserError
from pipeline.stage import device, finish, is_finished, start

WRITES = ("sheet.png", "*/map_*.npz")


def config(out: Path, **keys: object) -> DictConfig:
    content = {"stage": "nothing", "out": str(out), "overwrite": False, "device": "auto", "size": 3}
    return OmegaConf.create({**content, "twice": "${size}${size}", **keys})


def test_a_finished_run_is_not_done_again(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "deep" / "out"
    assert not is_finished(config(out))
    assert start(config(out), [], WRITES) == out
    assert yaml.safe_load((out / "config.yaml").read_text())["twice"] == "33"
    assert not is_finished(config(out))  # started is not finished
    finish(out, {"count": 1})
    assert json.loads((out / "metrics.json").read_text()) == {"count": 1}
    assert is_finished(config(out, device="cpu"))
    assert "already finished" in capsys.readouterr().out


def test_overwrite_starts_clean(tmp_path: Path) -> None:
    start(config(tmp_path), [], WRITES)
    (tmp_path / "photo").mkdir()
    for name in ("sheet.png", "photo/map_cat.npz", "photo/map_dog.npz.part"):
        (tmp_path / name).touch()
    finish(tmp_path, {})
    again = config(tmp_path, overwrite=True)
    assert not is_finished(again)
    start(again, [], WRITES)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_half_written_run_starts_clean(tmp_path: Path) -> None:
    start(config(tmp_path, size=4), [], WRITES)
    (tmp_path / "sheet.png.part").touch()
    assert not is_finished(config(tmp_path))
    start(config(tmp_path), [], WRITES)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_stage_that_can_resume_keeps_what_an_unfinished_run_has_left(tmp_path: Path) -> None:
    start(config(tmp_path), [], WRITES, resume=())
    (tmp_path / "sheet.png").touch()
    start(config(tmp_path, device="cpu"), [], WRITES, resume=())
    assert (tmp_path / "sheet.png").exists()
    with pytest.raises(UserError, match="unfinished run with another size, twice; .*overwrite"):
        start(config(tmp_path, size=4), [], WRITES, resume=())
    assert (tmp_path / "sheet.png").exists()
    start(config(tmp_path, size=4, overwrite=True), [], WRITES, resume=())
    assert not (tmp_path / "sheet.png").exists()


def test_nothing_is_resumed_from_a_folder_whose_configuration_is_lost(tmp_path: Path) -> None:
    (tmp_path / "sheet.png").touch()
    start(config(tmp_path), [], WRITES, resume=())
    assert not (tmp_path / "sheet.png").exists()


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    start(config(tmp_path), [], WRITES)
    finish(tmp_path, {})
    with pytest.raises(UserError, match="finished run with another size, twice; .*overwrite=true"):
        is_finished(config(tmp_path, size=4))


def test_an_empty_group_is_no_absent_group(tmp_path: Path) -> None:
    start(config(tmp_path, maps={"cam": {"flip": True}}), [], WRITES)
    finish(tmp_path, {})
    with pytest.raises(UserError, match="finished run with another maps.mwp;"):
        is_finished(config(tmp_path, maps={"cam": {"flip": True}, "mwp": {}}))


@pytest.mark.parametrize("other", ["notes.txt", "config.yaml"])
def test_other_files_are_never_removed(tmp_path: Path, other: str) -> None:
    (tmp_path / other).write_text("stage: another")
    with pytest.raises(UserError, match="holds other files"):
        start(config(tmp_path, overwrite=True), [], WRITES)
    assert (tmp_path / other).read_text() == "stage: another"


def test_inputs_are_never_removed(tmp_path: Path) -> None:
    start(config(tmp_path), [], WRITES)
    photo = tmp_path / "photo.jpg"
    photo.touch()
    with pytest.raises(UserError, match=r"photo\.jpg lies in it"):
        start(config(tmp_path, overwrite=True), [photo], WRITES)
    assert photo.exists()


def test_links_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "map_cat.npz").touch()
    out = start(config(tmp_path / "out"), [], WRITES)
    (out / "link").symlink_to(kept)
    (out / "sheet.png").symlink_to(kept / "map_cat.npz")
    start(config(out), [], WRITES)
    assert (kept / "map_cat.npz").exists()
    assert not (out / "sheet.png").exists()


def test_a_person_s_files_in_a_run_s_folder_stay(tmp_path: Path) -> None:
    start(config(tmp_path), [], WRITES)
    theirs = ["notes.txt", "map_cat.npz", "photo/notes.txt", "photo/deep/map_cat.npz", "mine/a.png"]
    own = ["sheet.png", "photo/map_cat.npz", "other/map_cat.npz"]
    for name in (*theirs, *own):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "empty").mkdir()
    finish(tmp_path, {})
    start(config(tmp_path, overwrite=True), [], WRITES)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    folders = {"photo", "photo/deep", "mine", "empty"}
    assert left == {*theirs, *folders, "config.yaml"}
    assert all((tmp_path / name).read_text() == name for name in theirs)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize("method", ["unlink", "rmdir", "mkdir", "write_text", "replace"])
def test_a_kill_anywhere_in_start_leaves_a_folder_that_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, earlier: bool
) -> None:
    """Killed before the first, the second, … call that changes the disk."""
    real = getattr(Path, method)
    for calls in range(1, 9):
        out = tmp_path / str(calls)
        if earlier:
            start(config(out), [], WRITES)
            (out / "photo").mkdir()
            for name in ("sheet.png", "photo/map_cat.npz"):
                (out / name).touch()
            finish(out, {})
        left = iter([True] * (calls - 1))

        def killed(path: Path, *args: Any, left: Any = left, **options: Any) -> Any:
            if next(left, False):
                return real(path, *args, **options)
            if method == "write_text":
                path.touch()  # opened, nothing written
            raise Killed

        again = config(out, overwrite=True)
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(Path, method, killed)
            start(again, [], WRITES)
        if (out / "done.json").exists():  # nothing was touched
            assert (out / "sheet.png").exists()
        start(again, [], WRITES)
        assert [path.name for path in out.iterdir() if path.is_file()] == ["config.yaml"]
        assert yaml.safe_load((out / "config.yaml").read_text())["twice"] == "33"


def test_a_half_written_configuration_is_accepted_with_own_files_only(tmp_path: Path) -> None:
    (tmp_path / "photo").mkdir()
    for name in ("config.yaml", "config.yaml.part", "sheet.png", "photo/map_cat.npz"):
        (tmp_path / name).touch()
    (tmp_path / "photo" / "notes.txt").touch()
    with pytest.raises(UserError, match="holds other files"):
        start(config(tmp_path), [], WRITES)
    assert (tmp_path / "sheet.png").exists()
    (tmp_path / "photo" / "notes.txt").unlink()
    start(config(tmp_path), [], WRITES)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_overwrite_is_true_or_false(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="^overwrite=maybe: give true or false$"):
        is_finished(config(tmp_path, overwrite="maybe"))


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_unwritable_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written .*; give a folder you can write to"):
        start(config(tmp_path / name), [], WRITES)


def test_a_missing_key_is_named_before_anything_is_removed(tmp_path: Path) -> None:
    start(config(tmp_path), [], WRITES)
    (tmp_path / "sheet.png").touch()
    with pytest.raises(MissingMandatoryValue, match="image"):
        start(config(tmp_path, image="???"), [], WRITES)
    assert (tmp_path / "sheet.png").exists()


def test_device(tmp_path: Path) -> None:
    assert device(config(tmp_path)).type in {"cpu", "cuda"}
    assert device(config(tmp_path, device="cpu")).type == "cpu"
    for name in ("nonsense", "cuda:99"):
        with pytest.raises(UserError, match=f"device={name}: not on this machine"):
            device(config(tmp_path, device=name))
