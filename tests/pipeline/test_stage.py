"""The stage contract, on a stage that does nothing."""

import json
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from data_prep.errors import UserError
from pipeline.stage import device, finish, is_finished, start


def config(out: Path, **keys: object) -> DictConfig:
    content = {"stage": "nothing", "out": str(out), "overwrite": False, "device": "auto", "size": 3}
    return OmegaConf.create({**content, "twice": "${size}${size}", **keys})


def test_a_finished_run_is_not_done_again(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "deep" / "out"
    assert not is_finished(config(out))
    assert start(config(out), []) == out
    assert yaml.safe_load((out / "config.yaml").read_text())["twice"] == "33"
    assert not is_finished(config(out))  # started is not finished
    finish(out, {"count": 1})
    assert json.loads((out / "metrics.json").read_text()) == {"count": 1}
    assert is_finished(config(out, device="cpu"))
    assert "already finished" in capsys.readouterr().out


def test_overwrite_starts_clean(tmp_path: Path) -> None:
    start(config(tmp_path), [])
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "old.png").touch()
    finish(tmp_path, {})
    again = config(tmp_path, overwrite=True)
    assert not is_finished(again)
    start(again, [])
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_half_written_run_starts_clean(tmp_path: Path) -> None:
    start(config(tmp_path, size=4), [])
    (tmp_path / "half.npz").touch()
    assert not is_finished(config(tmp_path))
    start(config(tmp_path), [])
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    start(config(tmp_path), [])
    finish(tmp_path, {})
    with pytest.raises(UserError, match="finished run with another size, twice; .*overwrite=true"):
        is_finished(config(tmp_path, size=4))


@pytest.mark.parametrize("other", ["notes.txt", "config.yaml"])
def test_other_files_are_never_removed(tmp_path: Path, other: str) -> None:
    (tmp_path / other).write_text("stage: another")
    with pytest.raises(UserError, match="holds other files"):
        start(config(tmp_path, overwrite=True), [])
    assert (tmp_path / other).read_text() == "stage: another"


def test_inputs_are_never_removed(tmp_path: Path) -> None:
    start(config(tmp_path), [])
    photo = tmp_path / "photo.jpg"
    photo.touch()
    with pytest.raises(UserError, match=r"photo\.jpg lies in it"):
        start(config(tmp_path, overwrite=True), [photo])
    assert photo.exists()


def test_links_are_cut_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    out = start(config(tmp_path / "out"), [])
    (out / "link").symlink_to(kept)
    start(config(out), [])
    assert (kept / "file").exists()
    assert not (out / "link").exists()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_unwritable_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written .*; give a folder you can write to"):
        start(config(tmp_path / name), [])


def test_a_missing_key_is_named_before_anything_is_removed(tmp_path: Path) -> None:
    start(config(tmp_path), [])
    (tmp_path / "old.png").touch()
    with pytest.raises(MissingMandatoryValue, match="image"):
        start(config(tmp_path, image="???"), [])
    assert (tmp_path / "old.png").exists()


def test_device(tmp_path: Path) -> None:
    assert device(config(tmp_path)).type in {"cpu", "cuda"}
    assert device(config(tmp_path, device="cpu")).type == "cpu"
    for name in ("nonsense", "cuda:99"):
        with pytest.raises(UserError, match=f"device={name}: not on this machine"):
            device(config(tmp_path, device=name))
