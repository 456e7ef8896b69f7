"""Features of photos: each as computed alone, kept, shared out; the head that learns from them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from grounding.processes import Processes
from grounding.training.batch import Batch
from grounding.training.feature_heads import StandardisedHead
from pipeline import features as features_module
from pipeline.features import Features, FeatureSource, compute_features

TAGS = 6
CPU = torch.device("cpu")
ALONE = Processes(0, 1, CPU)


class Fellow(Processes):
    """One of several processes that never meet."""

    def wait(self) -> None:
        pass


@dataclass
class Photos:
    """Stands for a `ShardSource`: 13 photos of two shapes in batches of 4, two of them damaged."""

    here: Processes = ALONE
    samples: int = 13
    begun: list[int] = field(default_factory=list)
    damaged = (3, 8)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self.photos = [
            torch.from_numpy(rng.normal(0, 1, (3, 5 + n % 2, 6))).float()
            for n in range(self.samples)
        ]
        self.targets = torch.from_numpy(rng.integers(-1, 2, (self.samples, TAGS), np.int8))
        self.targets[:, 2] = 1  # none without a tag

    @property
    def steps(self) -> int:
        return -(-self.samples // 4)

    def batches(self, _: int, first_step: int) -> Iterator[Batch]:
        self.begun.append(first_step)
        for step in range(first_step, self.steps):
            every = range(step * 4, min(step * 4 + 4, self.samples))
            own = [n for n in every[self.here.rank :: self.here.world] if n not in self.damaged]
            own.sort(key=lambda n: n % 2)
            groups = [[self.photos[n] for n in own if n % 2 == kind] for kind in (0, 1)]
            inputs = [torch.stack(group) for group in groups if group]
            yield Batch(
                inputs or [torch.zeros(0, 3, 5, 6)],
                self.targets[own],
                torch.tensor(own, dtype=torch.int64),
                len(every),
            )


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 7, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def computed(source: Any, path: Path, stop_after: int = 99) -> Features:
    steps: list[int] = []

    def stop() -> bool:
        return len(steps) >= stop_after

    return compute_features(net(), 7, source, path, source.here, steps.append, stop)


def check(found: Features, source: Photos) -> None:
    """Compare with one photo after the other, and with its targets."""
    readable = [n for n in range(source.samples) if n not in source.damaged]
    assert found.rows.tolist() == readable
    body = net()
    with torch.no_grad():
        expected = np.stack([body(source.photos[n][None])[0].numpy() for n in readable])
    np.testing.assert_allclose(found.values[readable], expected, rtol=1e-5, atol=1e-6)
    pairs = [
        (n, code, int(source.targets[n, code]))
        for n in readable
        for code in range(TAGS)
        if source.targets[n, code] != 0
    ]
    assert [tuple(pair) for pair in found.pairs.tolist()] == pairs


def test_features(tmp_path: Path) -> None:
    source = Photos()
    found = computed(source, tmp_path / "train.npy")
    check(found, source)
    assert found.values.dtype == np.float32
    assert not found.values[[3, 8]].any()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "train-0-of-1-000000004.npy",
        "train.npy",
    ]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_what_is_done_is_not_done_again(tmp_path: Path, steps: int) -> None:
    source = Photos()
    with pytest.raises(KeyboardInterrupt):
        computed(source, tmp_path / "train.npy", stop_after=steps)
    check(computed(source, tmp_path / "train.npy"), source)
    check(computed(source, tmp_path / "train.npy"), source)
    assert source.begun == [0, steps, 4]


def test_a_killed_run_goes_on_from_what_it_had_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features_module, "SAVE_SECONDS", 0)
    source = Photos()

    def kill(photos: int) -> None:
        done.append(photos)
        if len(done) == 3:
            raise MemoryError

    done: list[int] = []
    with pytest.raises(MemoryError):
        compute_features(net(), 7, source, tmp_path / "val.npy", ALONE, kill, lambda: False)  # type: ignore[arg-type]
    assert done == [4 - 1, 4, 4 - 1]
    check(computed(source, tmp_path / "val.npy"), source)
    assert source.begun == [0, 2]


def test_three_processes_compute_what_one_does(tmp_path: Path) -> None:
    """The last one sees what all have done; the others when they look again."""
    sources = [Photos(Fellow(rank, 3, CPU)) for rank in range(3)]
    every = [computed(source, tmp_path / "train.npy") for source in sources]
    check(every[-1], sources[0])
    check(computed(sources[0], tmp_path / "train.npy"), sources[0])
    source = Photos()
    check(computed(source, tmp_path / "train.npy"), source)  # what others had done is no use
    assert source.begun == [0]


def test_a_split_without_photos(tmp_path: Path) -> None:
    found = computed(Photos(samples=0), tmp_path / "val.npy")
    assert (len(found.rows), found.pairs.shape) == (0, (0, 3))
    source = FeatureSource(found, TAGS, 4, None, ALONE)
    assert source.steps == 0
    assert list(source.batches(0)) == []


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Features:
    return computed(Photos(), tmp_path_factory.mktemp("features") / "train.npy")


def by_row(batches: list[Batch], some: Features) -> dict[int, tuple[list[float], list[int]]]:
    """Feature and targets of each row of the split; no row comes twice."""
    found = {}
    for batch in batches:
        assert len(batch.inputs) == 1
        assert batch.inputs[0].dtype == torch.float32
        assert batch.targets.dtype == torch.int8
        for values, target, number in zip(
            batch.inputs[0], batch.targets, batch.numbers, strict=True
        ):
            row = int(some.rows[number])
            assert row not in found
            found[row] = (values.tolist(), target.tolist())
    return found


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 4, 11, 20])
def test_processes_share_the_batches_of_one(some: Features, world: int, batch: int) -> None:
    alone = list(FeatureSource(some, TAGS, batch, 5, ALONE).batches(2))
    shares = [
        list(FeatureSource(some, TAGS, batch, 5, Processes(rank, world, CPU)).batches(2))
        for rank in range(world)
    ]
    source = Photos()
    expected = {
        int(row): (some.values[row].tolist(), source.targets[row].tolist()) for row in some.rows
    }
    assert by_row([each for share in shares for each in share], some) == expected
    assert {len(share) for share in shares} == {len(alone)} == {-(-11 // batch)}
    for together, *parts in zip(alone, *shares, strict=True):
        assert by_row(parts, some) == by_row([together], some)
        assert {part.total for part in parts} == {together.total} == {len(together.numbers)}
        sizes = [len(part.numbers) for part in parts]
        assert max(sizes) - min(sizes) <= 1


def test_order(some: Features) -> None:
    def numbers(seed: int | None, epoch: int, first_step: int = 0) -> list[int]:
        batches = FeatureSource(some, TAGS, 4, seed, ALONE).batches(epoch, first_step)
        return [int(number) for batch in batches for number in batch.numbers]

    assert numbers(None, 0) == numbers(None, 1) == list(range(11))
    assert numbers(1, 0) == numbers(1, 0)
    assert numbers(1, 0) != numbers(1, 1)
    assert numbers(1, 0) != numbers(2, 0)
    for first_step in range(4):
        assert numbers(1, 3, first_step) == numbers(1, 3)[4 * first_step :]


@pytest.mark.parametrize("rows", [1, 3, 4096])
def test_mean_and_std(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Lost rows are left out; a feature that hardly varies is not blown up."""
    monkeypatch.setattr(features_module, "ROWS", rows)
    rng = np.random.default_rng(0)
    values = (rng.normal(0, 1, (20, 5)) * [1, 100, 1e-3, 0, 0] + [0, 5, 7, 0, 3]).astype("f4")
    kept = np.array([0, 2, 3, 7, 8, 11, 12, 15, 19])
    values[np.setdiff1d(np.arange(20), kept)] = 1e6
    mean, std = Features(values, kept, np.zeros((0, 3), np.int32)).mean_and_std()
    expected = values[kept].astype(float)
    np.testing.assert_allclose(mean.numpy(), expected.mean(0), rtol=1e-6, atol=1e-7)
    own = expected.std(0)
    np.testing.assert_allclose(std.numpy(), [*own[:2], *[own.mean() / 100] * 3], rtol=1e-5)
    assert mean.dtype == std.dtype == torch.float32


def test_no_feature_varies() -> None:
    values, kept = np.full((4, 2), 3, np.float32), np.arange(4)
    mean, std = Features(values, kept, np.zeros((0, 3), np.int32)).mean_and_std()
    assert (mean.tolist(), std.tolist()) == ([3, 3], [1, 1])


def test_the_folded_head_gives_the_same_logits() -> None:
    """On features whose scales differ by orders of magnitude."""
    torch.manual_seed(0)
    features = torch.rand(50, 8) * torch.logspace(-3, 2, 8)
    head = StandardisedHead(nn.Linear(8, TAGS), features.mean(0), features.std(0))
    plain = nn.Linear(8, TAGS)
    plain.weight.data, plain.bias.data = head.folded()
    with torch.no_grad():
        found, logits = plain(features), head(features)
        by_hand = head.head((features - features.mean(0)) / features.std(0))
    assert torch.equal(logits, by_hand)
    torch.testing.assert_close(found, logits, rtol=1e-5, atol=1e-5 * float(logits.abs().max()))
    assert [name for name, _ in head.named_parameters()] == ["head.weight", "head.bias"]
