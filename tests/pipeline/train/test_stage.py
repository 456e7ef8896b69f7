"""Stage `train` end to end: what is written, and that the numbers are those of the saved model."""

import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hydra import compose, initialize_config_module
from PIL import Image
from sklearn.metrics import average_precision_score
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from pipeline import attend
from pipeline.__main__ import with_folders
from tests.pipeline.train.made import (
    SMALL,
    SQUEEZENET,
    TAGS,
    losses,
    metrics,
    run,
    sample,
    samples_of,
    weights,
    write_shard,
    write_shards,
)

FROZEN = ("experiment=frozen", "train.epochs=4")
PAPER = ("experiment=paper", "train.epochs=2")
WHOLE_NET = ("experiment=finetune", "train.epochs=2", "model.name=timm:test_resnet")


@pytest.fixture(
    scope="module",
    params=[FROZEN, (*PAPER, *SQUEEZENET), (*WHOLE_NET, "model.weights=random")],
    ids=["frozen", "paper", "finetune"],
)
def finished(
    request: pytest.FixtureRequest, shards: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """Folder of a run and its command line."""
    out = tmp_path_factory.mktemp("train") / "out"
    arguments = [f"shards={shards}", f"out={out}", *SMALL, *request.param]
    run(*arguments)
    return out, arguments


def test_what_is_written(
    finished: tuple[Path, list[str]], shards: Path, capsys: pytest.CaptureFixture
) -> None:
    out, arguments = finished
    epochs = int(arguments[-1].partition("=")[2]) if "frozen" in arguments[-2] else 2
    assert {path.name for path in out.iterdir()} == {
        *("model", "checkpoint.safetensors", "curves.png", "tags.parquet", "tensorboard"),
        *("config.yaml", "metrics.json", "done.json"),
    }
    assert not list(out.rglob("*.part"))
    with Image.open(out / "curves.png") as curves:
        curves.load()
        assert curves.size == (1200, 480)
        assert len(curves.getcolors(maxcolors=100_000) or []) > 10
    found = metrics(out)
    assert (found["train"], found["val"], found["tags"]) == (71, 23, 6)
    assert (found["epochs"], found["stopped"], found["rejected"]) == (epochs, "epochs", {})
    assert [row["epoch"] for row in found["history"]] == list(range(1, epochs + 1))
    assert found["loss"] == found["history"][-1]["loss"]
    assert found["history"][-1] == found["history"][-1] | found["validation"]
    assert found["training_seconds"] > 0
    record = json.loads((out / "model" / "training.json").read_text())
    assert record["config"]["train"]["seed"] == 0
    assert record["data"]["shards"] == str(shards)
    assert record["metrics"]["validation"] == found["validation"]
    assert Vocabulary.load(out / "model" / "vocabulary.json").names == tuple((tag,) for tag in TAGS)

    logs = EventAccumulator(str(out / "tensorboard"))
    logs.Reload()
    unit = "features" if "experiment=frozen" in arguments else "images"
    shown = {"loss", "lr", f"{unit}_per_second"}
    assert {f"train/{name}" for name in shown} <= set(logs.Tags()["scalars"])
    logged = [event.value for event in logs.Scalars("epoch/loss")]
    assert logged == pytest.approx(losses(out))
    steps = [event.step for event in logs.Scalars("train/loss")]
    assert steps[-1] == epochs * 2  # 71 photos in batches of 64

    capsys.readouterr()
    before = weights(out)
    run(*arguments)
    assert capsys.readouterr().out == f"{out}: already finished; overwrite=true does it again\n"
    assert weights(out) == before


def test_the_saved_model_has_the_measured_precision(
    finished: tuple[Path, list[str]], shards: Path
) -> None:
    out, _ = finished
    classifier = TagClassifier.load(out)
    photos = samples_of(shards, "val")
    scores = torch.stack([classifier.logits(photo) for photo, _ in photos]).double().numpy()
    has = np.array([[code in record["codes"] for code in range(6)] for _, record in photos])
    known = np.array(
        [[code not in record.get("unknown", []) for code in range(6)] for _, record in photos]
    )
    ap = [average_precision_score(has[known[:, c], c], scores[known[:, c], c]) for c in range(6)]
    of_tags = pq.read_table(out / "tags.parquet").to_pydict()
    assert of_tags["tag"] == TAGS
    assert of_tags["average_precision"] == pytest.approx(ap, abs=1e-6)
    assert of_tags["train"] == [
        sum(code in record["codes"] for _, record in samples_of(shards, "train"))
        for code in range(6)
    ]
    measured = metrics(out)["validation"]
    assert measured["map_macro"] == pytest.approx(np.mean(ap), abs=1e-6)
    micro = average_precision_score(has[known], scores[known])
    assert measured["map_micro"] == pytest.approx(micro, abs=1e-6)
    best = np.where(known, scores, -np.inf).argmax(1)
    first = has[np.arange(len(has)), best].mean()
    assert measured["precision_at_1"] == pytest.approx(first, abs=1e-6)
    assert (measured["images"], measured["tags"]) == (23, 6)


def test_attention_of_the_trained_model(
    finished: tuple[Path, list[str]], shards: Path, tmp_path: Path
) -> None:
    out, _ = finished
    samples_of(shards, "val")[0][0].save(tmp_path / "photo.png")
    arguments = with_folders([f"model={out / 'model'}"])
    words = ["image=" + str(tmp_path / "photo.png"), "words=[striped,red]", "short_side=96"]
    with initialize_config_module("conf", version_base="1.3"):
        where = [f"out={tmp_path / 'attend'}", "device=cpu"]
        config = compose("config", ["stage=attend", *where, *arguments, *words])
    attend.run(config)
    (photo,) = metrics(tmp_path / "attend")["photos"]
    assert list(photo["words"]) == ["striped", "red"]
    with np.load(tmp_path / "attend" / "attention.npz") as maps:
        assert np.isfinite(maps["striped"]).all()
        assert maps["striped"].max() > 0


def test_the_frozen_head_fits_the_nets_features(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The loss of the last epoch's weights on all photos lies below that of the frequencies."""
    run(f"shards={shards}", f"out={tmp_path}", *SMALL, "experiment=frozen", "train.epochs=10")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("features of 71 train photos: ")
    assert printed[1].startswith("features of 23 val photos: ")
    assert [line.partition(":")[0] for line in printed[2:]] == [
        *(f"epoch {number}/10" for number in range(1, 11)),
        *("validation", "model"),
    ]
    classifier = TagClassifier.load(tmp_path)
    photos = samples_of(shards, "train")
    logits = torch.stack([classifier.logits(photo) for photo, _ in photos])
    targets = torch.zeros(len(photos), 6)
    for row, (_, record) in zip(targets, photos, strict=True):
        row[record["codes"]] = 1
    share = targets.mean(0).expand_as(targets)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    assert loss < 0.8 * torch.nn.functional.binary_cross_entropy(share, targets)
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]


Damage = Callable[[Path], None]


def without_val(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"val": []}))


def all_val_alike(folder: Path) -> None:
    everything = sample(0, json={"codes": list(range(6))})
    write_shard(folder / "val" / "000000.tar", [everything] * 3)


@pytest.mark.parametrize("damage", [without_val, all_val_alike])
@pytest.mark.parametrize("recipe", [FROZEN, (*WHOLE_NET, "model.weights=random")])
def test_without_photos_to_measure_training_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture, damage: Damage, recipe: tuple[str, ...]
) -> None:
    shards = write_shards(tmp_path / "shards", (20,), (3,))
    damage(shards)
    out = tmp_path / "out"
    run(f"shards={shards}", f"out={out}", *SMALL, *recipe)
    assert metrics(out)["validation"] == {}
    assert "validation: none" in capsys.readouterr().out
    found = pq.read_table(out / "tags.parquet")["average_precision"].to_numpy()
    assert np.isnan(found).all()
    Image.open(out / "curves.png").load()
    TagClassifier.load(out)


@pytest.mark.parametrize("recipe", [FROZEN, (*WHOLE_NET, "model.weights=random")])
def test_what_cannot_be_used_is_counted_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture, recipe: tuple[str, ...]
) -> None:
    shards = write_shards(tmp_path / "shards", (10, 12), (8, 5))
    bad = [sample(0, jpg=b"no photo"), sample(1), sample(2, json={"codes": []})]
    write_shard(shards / "train" / "000000.tar", bad + [sample(n) for n in range(3, 10)])
    (shards / "val" / "000001.tar").unlink()
    out = tmp_path / "out"
    run(f"shards={shards}", f"out={out}", *SMALL, *recipe)
    reasons = metrics(out)["rejected"]
    assert sum(reasons.values()) == 7
    assert reasons["it has no tags"] == 1
    assert metrics(out)["validation"]["images"] == 8
    lines = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert [(Path(line["file"]).name, line["place"]) for line in lines] == [
        *(("000000.tar", 0), ("000000.tar", 2)),
        *(("000001.tar", place) for place in range(5)),
    ]
    assert f"rejected: 7 samples, listed in {out / 'rejects.jsonl'}" in capsys.readouterr().out


def test_shards_at_a_url(shards: Path, tmp_path: Path) -> None:
    """Of any file system that fsspec knows; here one in this process's memory."""
    memory = fsspec.filesystem("memory")
    memory.put(f"{shards}/", "/train_at_a_url/", recursive=True)
    keys = [*SMALL, *WHOLE_NET, "model.weights=random", "train.epochs=1"]
    run("shards=memory://train_at_a_url", f"out={tmp_path / 'url'}", *keys)
    run(f"shards={shards}", f"out={tmp_path / 'folder'}", *keys)
    memory.rm("/train_at_a_url", recursive=True)
    assert metrics(tmp_path / "url")["rejected"] == {}
    assert weights(tmp_path / "url") == weights(tmp_path / "folder")
