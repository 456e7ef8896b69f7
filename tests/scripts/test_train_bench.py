"""The training benchmark: its clock, its curves, and all parts on tiny shards."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import DictConfig

from grounding.processes import Processes
from grounding.training.batch import Batch
from scripts.benches import record, train, train_runs
from scripts.benches.train import Settings
from scripts.benches.train_runs import Precision, Timed, Trial
from tests.pipeline.train.made import write_shards

ALONE = Processes(0, 1, torch.device("cpu"))
NET = "squeezenet1_1"
OVERRIDES = [
    *(f"model.name={NET}", "model.weights=random", "model.preprocessing={size:64}"),
    *("train.lanes=4", "train.epochs=1"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two steps a round, on 14 photos: fewer than the steps take."""
    shards = write_shards(tmp_path_factory.mktemp("bench") / "shards", (9, 5), (12,))
    sizes = {"batch": 8, "steps": 2, "warmup": 1, "rounds": 2, "agreement_steps": 10}
    keys = {"shards": str(shards), "device": "cpu", "workers": 0, "overrides": OVERRIDES}
    return Settings(nets=[NET], **sizes, **keys)  # type: ignore[arg-type]


@pytest.fixture
def trial(settings: Settings) -> Trial:
    return Trial.open(train.read_config(settings), settings.agreement_steps, ALONE)


class Clock:
    """Goes on only when somebody works."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """Batches of 2, 3, 4 … photos; reading one takes 1 s, the first one 50 s."""

    steps = 9

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def batches(self, epoch: int, first_step: int) -> Iterator[Batch]:
        for number in range(self.steps):
            self._clock.now += 1 if number else 50
            rows = torch.zeros(number + 2, 1)
            yield Batch([rows], rows, rows, len(rows))


def test_time_begins_after_the_warm_up_and_ends_with_the_last_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, pending = Clock(), [0.0]

    def wait() -> None:
        clock.now += pending.pop()
        pending.append(0.0)

    monkeypatch.setattr(train_runs.time, "perf_counter", clock)
    timed = Timed(Slow(clock), steps=3, warmup=2, wait=wait)
    seen = 0
    for batch in timed.batches(0, 0):
        seen += len(batch.targets)
        clock.now += 10  # the step
        pending[0] += 0.5  # and what of it a GPU has still to do
    assert seen == 2 + 3 + 4 + 5 + 6
    assert timed.rate == pytest.approx((4 + 5 + 6) / (3 * (1 + 10 + 0.5)))


def test_rounds_go_round() -> None:
    order: list[str] = []

    def contestant(name: str) -> float:
        order.append(name)
        return len(order)

    found = train.take_turns({"a": lambda: contestant("a"), "b": lambda: contestant("b")}, 3)
    assert order == ["a", "b"] * 3
    assert found == {"a": [1, 3, 5], "b": [2, 4, 6]}


def test_curves_are_compared_in_means_of_a_tenth() -> None:
    random = np.random.default_rng(0)
    fp32, bf16 = random.uniform(1, 2, (2, 40))
    found = train.compare_curves(fp32, bf16)
    largest = 0.0
    for start in range(37):
        ours = sum(bf16[start : start + 4]) / 4
        theirs = sum(fp32[start : start + 4]) / 4
        largest = max(largest, abs(ours - theirs) / theirs)
    assert found == {
        "first": fp32[0],
        "fp32": pytest.approx(sum(fp32[36:]) / 4),
        "bf16": pytest.approx(sum(bf16[36:]) / 4),
        "largest difference": pytest.approx(largest),
    }


def test_the_step_is_that_of_finetune(trial: Trial) -> None:
    run = trial.prepare(NET, "random", "bf16")
    assert run.settings.precision == "bf16"
    assert run.settings.layers == "all"
    assert run.settings.clip_norm == 10
    assert run.average is not None
    assert isinstance(run.optimizer, torch.optim.AdamW)
    assert trial.data.reading.view == "random_resized_crop"
    (batch, *_) = run.source.batches(0, 0)
    assert batch.inputs[0].shape == (8, 3, 64, 64)


def test_agreement_sees_the_precision_and_nothing_else(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = train.agreement(trial, 10)
    assert 0 < found["largest difference"] < 0.1
    same: tuple[Precision, Precision] = ("fp32", "fp32")
    monkeypatch.setattr(train, "PRECISIONS", same)
    found = train.agreement(trial, 10)
    assert found["largest difference"] == 0
    assert found["fp32"] == found["bf16"] != found["first"]


def test_records_of_speed_and_agreement(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {key: value for key, value in vars(settings).items() if key != "folder"}
    monkeypatch.setattr("sys.argv", ["bench", *(f"{key}={value}" for key, value in keys.items())])
    monkeypatch.setattr(record, "ROOT", tmp_path)
    names = iter(["speed", "agreement"])
    write = record.write
    monkeypatch.setattr(record, "write", lambda _, *rest: write(next(names), *rest))
    train.main()
    speed, agreement = (
        json.loads(next((tmp_path / "benchmarks").glob(f"{name}-*.json")).read_text())
        for name in ("speed", "agreement")
    )
    assert [(row["net"], row["precision"]) for row in speed["rows"]] == [
        (NET, "fp32"),
        (NET, "bf16"),
    ]
    for row in speed["rows"]:
        assert all(row[key] > 0 for key in ("noise", "shards", "loader", "shards/noise"))
        assert row["GiB"] is None
    assert agreement["rows"][0]["net"] == NET
    assert agreement["settings"]["shards"] == "shards"
    assert str(Path(settings.shards or "").parent) not in json.dumps([speed, agreement])


def test_full_training_is_the_stage_itself(settings: Settings, tmp_path: Path) -> None:
    row = train.full_training(Settings(**vars(settings) | {"folder": str(tmp_path)}))
    assert (tmp_path / "full/model/weights.safetensors").is_file()
    assert (row["train"], row["val"], row["epochs"]) == (14, 12, 1)
    metrics = json.loads((tmp_path / "full/metrics.json").read_text())
    assert row["mAP macro"] == metrics["validation"]["map_macro"]
    assert row["images/s"] == pytest.approx(14 / metrics["training_seconds"])
    assert row["wall s"] > metrics["training_seconds"]


def test_drawn_shards_come_from_a_chain_of_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs: list[DictConfig] = []

    def read(*keys: str) -> None:
        with initialize_config_module("conf", version_base="1.3"):
            configs.append(compose("config", list(keys)))

    monkeypatch.setattr(train, "stage", read)
    folder = train.drawn_shards(Settings(images=500, folder=str(tmp_path)))
    scenes, clean, shards = configs
    assert [each.stage for each in configs] == ["scenes", "clean", "shards"]
    assert scenes.images == 500
    assert clean.crawl == f"{scenes.out}/crawl"
    assert shards.images == f"{scenes.out}/images"
    assert shards.cleaned == clean.out
    assert str(folder) == shards.out


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("rounds=0", "rounds=0: give 1 or more"),
        ("shards=nowhere", "no shards there"),
        ("overrides=[train.epoch=3]", "train.epoch"),
    ],
)
def test_bad_keys_end_in_one_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, argument: str, complaint: str
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", f"shards={settings.shards}", argument])
    with pytest.raises(SystemExit) as end:
        train.main()
    assert complaint in str(end.value)
    assert "\n" not in str(end.value)
