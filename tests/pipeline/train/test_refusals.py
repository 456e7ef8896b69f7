"""What stage `train` refuses: one line with the remedy, before any work and without a trace."""

import errno
import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from data_prep.errors import UserError
from data_prep.shards.index import ShardIndex
from grounding import model_folder
from grounding.classifier import TagClassifier
from grounding.processes import Processes
from grounding.training import checkpoint, setup
from grounding.training.loop import Loss
from pipeline import train as stage
from tests.pipeline.train.made import SMALL, SQUEEZENET, TAGS, run, weights, write_shards

NET = ("experiment=finetune", "model.name=timm:test_resnet", "model.weights=random", *SMALL)


def refused(*arguments: str) -> str:
    """Give the message of a refusal: one line."""
    with pytest.raises(UserError) as caught:
        run(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["train.lanes=24"], "train.lanes=24: does not divide train.batch=64; give train.lanes=8"),
        (["+train.lrr=1"], "train.lrr: no such key; there are accumulate, asymmetric_clip, "),
        (["train.view=square"], "train.view=square: give one of whole, random_crop, random_res"),
        (["train.scale=[0.5]"], "train.scale=[0.5]: give the least and the largest share"),
        (["train.scale=[0.5,0.2]"], "train.scale=[0.5, 0.2]: give the least and the largest"),
        (["train.scale=[0,1]"], "train.scale=[0, 1]: give the least and the largest share"),
        (["train.scale=[a,b]"], "train.scale=['a', 'b']: give "),
        (["train.scale=0.5"], "train.scale=0.5: give two numbers, as in [0.35,1]"),
        (["train.workers=-1"], "train.workers=-1: give a whole number, 0 or more"),
        (["train.workers=1.5"], "train.workers=1.5: give a whole number, 0 or more"),
        (["train.lanes=0"], "train.lanes=0: give a whole number, 1 or more"),
        (["train.block=x"], "train.block=x: give a whole number, 1 or more"),
        (["train.flip=maybe"], "train.flip=maybe: give true or false"),
        (["train.loss=hinge"], "train.loss=hinge: give one of bce, focal, asymmetric"),
        (["train=3"], "train"),
        (["train.view=whole"], "train.view=whole: is for train.layers=head with train.flip=false"),
        (["model.name=timm:efficientnet_b0"], "model timm:efficientnet_b0: the features under"),
        (["model.name=resnet5"], "model resnet5: no such model in torchvision or timm; nearest"),
        (["+model.preprocessing.side=3"], "side"),
        (["model.weights=nowhere.safetensors"], "nowhere.safetensors: "),
    ],
)
def test_a_bad_key(shards: Path, tmp_path: Path, keys: list[str], message: str) -> None:
    out = tmp_path / "out"
    assert message in refused(f"shards={shards}", f"out={out}", *NET, *keys)
    assert not out.exists()


def test_a_trained_model_is_no_backbone(shards: Path, tmp_path: Path) -> None:
    keys = ["model=folder", "model.folder=some/model", "train.workers=0", "device=cpu"]
    message = refused(f"shards={shards}", f"out={tmp_path / 'out'}", *keys)
    assert message.startswith("model=some/model: training begins with a backbone; give model.name=")


def unfinished(folder: Path) -> None:
    (folder / "index.json").unlink()


def damaged_index(folder: Path) -> None:
    (folder / "index.json").write_text('{"train": [')


def no_training_photos(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"train": []}))


def another_vocabulary(folder: Path) -> None:
    path = folder / "vocabulary.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "tag", pa.array([*TAGS[:-1], "narrow"])), path)


def no_vocabulary(folder: Path) -> None:
    (folder / "vocabulary.parquet").unlink()


def vocabulary_of_clean(folder: Path) -> None:
    path = folder / "vocabulary.parquet"
    pq.write_table(pq.read_table(path, columns=["tag", "count", "rank"]), path)


def nothing_readable(folder: Path) -> None:
    for shard in ShardIndex.load(folder).train:
        (folder / shard.file).write_bytes(b"no tar")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "no shards there (index.json is missing); make them with stage=shards"),
        (unfinished, "no shards there (index.json is missing); make them with stage=shards"),
        (damaged_index, "index.json: no index of shards; make them anew: stage=shards"),
        (no_training_photos, "no training photos in the shards; make them anew"),
        (
            another_vocabulary,
            "vocabulary.parquet: is not the vocabulary that the shards beside it",
        ),
        (no_vocabulary, "vocabulary.parquet: no vocabulary that can be read; give the one"),
        (vocabulary_of_clean, "vocabulary.parquet: has no column train; make the shards anew"),
        (nothing_readable, "no photo could be read; make the shards anew"),
    ],
)
@pytest.mark.parametrize("recipe", ["finetune", "frozen"])
def test_bad_shards(
    tmp_path: Path, damage: Callable[[Path], None], message: str, recipe: str
) -> None:
    shards = write_shards(tmp_path / "shards", (4,), (2,))
    damage(shards)
    keys = [*SQUEEZENET, *SMALL, f"experiment={recipe}", "train.epochs=1"]
    assert message in refused(f"shards={shards}", f"out={tmp_path / 'out'}", *keys)
    assert not (tmp_path / "out" / "done.json").exists()


def test_the_vocabulary_of_other_shards(shards: Path, tmp_path: Path) -> None:
    """Of the stage clean, in another order."""
    path = tmp_path / "vocabulary.parquet"
    pq.write_table(pa.table({"tag": TAGS[::-1], "count": [1] * 6, "rank": range(1, 7)}), path)
    keys = [f"shards={shards}", f"out={tmp_path / 'out'}", f"vocabulary={path}", *NET]
    message = refused(*keys)
    assert message.startswith(f"{path}: is not the vocabulary of the shards in {shards}; give")
    assert f"vocabulary={shards}/vocabulary.parquet, or" in message


def test_lanes_that_processes_cannot_share(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = Processes(0, 3, torch.device("cpu"))
    monkeypatch.setattr(Processes, "from_first", lambda _, value: value)
    monkeypatch.setattr(stage, "processes", lambda _: nullcontext(three))
    message = refused(f"shards={shards}", f"out={tmp_path / 'out'}", *NET)
    assert message == (
        "train.lanes=16: 3 processes cannot share them evenly; give a multiple of 3 that divides "
        "train.batch=64"
    )


@pytest.fixture
def stopped(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the command line of a run that is killed after its first epoch."""
    arguments = [f"shards={shards}", f"out={tmp_path / 'out'}", *NET, "train.epochs=2"]

    def die(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(stage.TrainReporter, "epoch", die)
        with pytest.raises(MemoryError):
            run(*arguments)
    return arguments


def test_an_unfinished_run_of_another_configuration(stopped: list[str]) -> None:
    message = refused(*stopped, "train.loss=focal")
    assert "holds an unfinished run with another train.loss; give another out= or over" in message
    run(*stopped, "train.loss=focal", "overwrite=true")


def test_a_run_goes_on_with_another_learning_rate(
    stopped: list[str], capsys: pytest.CaptureFixture
) -> None:
    run(*stopped, "train.lr=1e-5", "train.clip_norm=1")
    assert "going on after epoch 1" in capsys.readouterr().out


def test_a_checkpoint_of_another_run(stopped: list[str], shards: Path, tmp_path: Path) -> None:
    """Of the same net with other settings, copied there by hand."""
    other = tmp_path / "other"
    run(f"shards={shards}", f"out={other}", *NET, "train.epochs=1")
    path = tmp_path / "out" / "checkpoint.safetensors"
    shutil.copy(other / "checkpoint.safetensors", path)
    message = refused(*stopped)
    assert message.startswith(f"{path}: is of another model, other data or other settings; give")
    path.write_bytes(path.read_bytes()[:1000])
    assert refused(*stopped).startswith(f"{path}: no checkpoint that can be read; remove it")
    path.unlink()
    run(*stopped)
    TagClassifier.load(tmp_path / "out")


def test_other_shards_under_the_same_name(stopped: list[str], tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    first = Path(stopped[0].partition("=")[2])
    shutil.copytree(first, shards)
    arguments = [f"shards={shards}", f"out={tmp_path / 'second'}", *stopped[2:]]
    run(*arguments, "train.epochs=1")
    (tmp_path / "second" / "done.json").unlink()
    shutil.rmtree(shards)
    write_shards(shards, (30,), (5,))
    assert "is of another model, other data" in refused(*arguments, "train.epochs=1")


def test_a_loss_that_is_not_finite(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the second epoch's second step on; what the first has saved stays and goes on."""
    inner, calls = setup.make_loss, [0]

    def make(*arguments: Any) -> Loss:
        loss = inner(*arguments)

        def broken(logits: Tensor, targets: Tensor) -> Tensor:
            calls[0] += 1
            return loss(logits, targets) * (torch.nan if calls[0] > 6 else 1)

        return broken

    keys = [f"shards={shards}", *NET, "train.epochs=2", "train.batch=16"]  # 5 steps an epoch
    out, wanted = tmp_path / "out", tmp_path / "wanted"
    with monkeypatch.context() as patched:
        patched.setattr(setup, "make_loss", make)
        message = refused(*keys, f"out={out}")
    assert message.startswith("epoch 2, step 2: the loss is not finite; ")
    assert "a smaller train.lr or a train.clip_norm" in message
    run(*keys, f"out={out}")
    run(*keys, f"out={wanted}")
    assert weights(out) == weights(wanted)


def test_a_learning_rate_that_is_far_too_large(shards: Path, tmp_path: Path) -> None:
    keys = ["train.optimizer=sgd", "train.lr=9e5", "train.batch=16", "train.clip_norm=null"]
    message = refused(f"shards={shards}", f"out={tmp_path}", *NET, *keys)
    assert message.startswith("epoch 1, step ")
    assert "is not finite" in message


@pytest.mark.parametrize("place", ["checkpoint", "model"])
def test_a_full_disk(
    stopped: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Both earlier files stay, and with room the same command goes on."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    module = checkpoint if place == "checkpoint" else model_folder
    path = tmp_path / "out" / "checkpoint.safetensors"
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(module, "save_file", full)
        message = refused(*stopped)
    assert ("free some" if place == "checkpoint" else "make room") in message
    assert str(tmp_path / "out") in message
    assert not list(tmp_path.rglob("*.part"))
    assert (path.read_bytes() == before) == (place == "checkpoint")
    run(*stopped)
    TagClassifier.load(tmp_path / "out")
