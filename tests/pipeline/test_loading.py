"""Batches of photos from shards: the same ones whoever reads them, each sample once."""

import io
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from data_prep.shards.index import ShardIndex
from grounding.preprocessing import Preprocessing, scoring_size
from grounding.processes import Processes
from grounding.training.batch import Batch
from grounding.views import View
from pipeline.loading import Shards, ShardSource
from pipeline.rejects import Rejects
from tests.pipeline.train.made import TAGS, sample, samples_of, write_shard, write_shards

SIZES = (9, 2, 0, 13, 5)
SAMPLES = sum(SIZES)  # 29: four batches of 8, the last one of 5
PREPROCESSING = Preprocessing((0.5,) * 3, (0.25,) * 3, size=64)
WHOLE, VARIED = View(PREPROCESSING), View(PREPROCESSING, "random_resized_crop", flip=True)
CPU = torch.device("cpu")
ONE, TWO = [Processes(0, 1, CPU)], [Processes(0, 2, CPU), Processes(1, 2, CPU)]
MANY_WORKERS = pytest.mark.filterwarnings("ignore:This DataLoader will create")

Rows = dict[int, tuple[Tensor, Tensor]]  # by its number in the epoch a sample's input and targets


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("loading"), SIZES, (1,))


def sources(
    folder: Path,
    processes: Sequence[Processes] = ONE,
    view: View = VARIED,
    *,
    batch: int = 8,
    lanes: int = 4,
    seed: int | None = 3,
    workers: int = 0,
) -> list[ShardSource]:
    """Give a source for each process; they share the set of rejects."""
    shards = ShardIndex.load(folder).train
    rejects = Rejects()
    return [
        ShardSource(
            Shards(
                sizes=tuple(shard.samples for shard in shards),
                files=[str(folder / shard.file) for shard in shards],
                tags=len(TAGS),
                view=view,
                batch=batch,
                lanes=lanes,
                block=6,
                seed=seed,
            ),
            each,
            workers,
            rejects,
        )
        for each in processes
    ]


def rows_of(batches: Sequence[Batch]) -> Rows:
    """Take a step's batches, one of each process, apart."""
    found: Rows = {}
    for batch in batches:
        inputs = [row for each in batch.inputs for row in each]
        assert len(inputs) == len(batch.targets) == len(batch.numbers)
        for number, row, target in zip(batch.numbers.tolist(), inputs, batch.targets, strict=True):
            assert number not in found
            found[number] = (row, target)
    return found


def epoch(given: list[ShardSource], number: int = 0, first_step: int = 0) -> list[Rows]:
    """Read an epoch: the rows of each step over all processes."""
    steps = zip(*(source.batches(number, first_step) for source in given), strict=True)
    return [rows_of(batches) for batches in steps]


def assert_same(found: list[Rows], wanted: list[Rows]) -> None:
    """Compare pixels and targets, bit by bit."""
    assert [sorted(rows) for rows in found] == [sorted(rows) for rows in wanted]
    for rows, others in zip(found, wanted, strict=True):
        for number, (row, target) in rows.items():
            assert torch.equal(row, others[number][0])
            assert torch.equal(target, others[number][1])


def alone(photo: Image.Image) -> Tensor:
    """Give a photo as the classifier sees it when it scores it."""
    return PREPROCESSING(photo, scoring_size(photo.width, photo.height, 64))


def fingerprints(found: list[Rows]) -> Counter[bytes]:
    return Counter(row.numpy().tobytes() for rows in found for row, _ in rows.values())


@pytest.fixture(scope="module")
def wanted(folder: Path) -> list[Rows]:
    return epoch(sources(folder))


@MANY_WORKERS
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("processes", [ONE, TWO], ids=["one process", "two ranks"])
def test_the_batches_are_the_same_whoever_reads_them(
    folder: Path, wanted: list[Rows], workers: int, processes: list[Processes]
) -> None:
    assert [len(rows) for rows in wanted] == [8, 8, 8, 5]
    assert sorted(number for rows in wanted for number in rows) == list(range(SAMPLES))
    assert_same(epoch(sources(folder, processes, workers=workers)), wanted)


@pytest.mark.parametrize("processes", [ONE, TWO], ids=["one process", "two ranks"])
def test_each_sample_comes_once_an_epoch(folder: Path, processes: list[Processes]) -> None:
    """The view takes photos as they are, so that each can be told by its pixels."""
    photos = samples_of(folder, "train")
    once = Counter(alone(photo).numpy().tobytes() for photo, _ in photos)
    assert len(once) == SAMPLES
    given = sources(folder, processes, WHOLE, workers=2)
    for number in range(2):
        assert fingerprints(epoch(given, number)) == once


def test_the_samples_of_a_step_are_counted_over_all_processes(folder: Path) -> None:
    for source in sources(folder, TWO):
        assert (source.steps, source.samples) == (4, SAMPLES)
        assert [batch.total for batch in source.batches(0)] == [8, 8, 8, 5]


@MANY_WORKERS
@pytest.mark.parametrize(("sizes", "batch", "lanes"), [((7,), 8, 8), ((3, 1), 2, 2), ((1,), 4, 4)])
def test_fewer_shards_and_lanes_than_workers(
    tmp_path: Path, sizes: tuple[int, ...], batch: int, lanes: int
) -> None:
    folder = write_shards(tmp_path, sizes, ())
    wanted = epoch(sources(folder, batch=batch, lanes=lanes))
    assert sum(map(len, wanted)) == sum(sizes)
    found = epoch(sources(folder, TWO, batch=batch, lanes=lanes, workers=4))
    assert_same(found, wanted)


def test_a_process_without_a_photo_for_the_last_step(tmp_path: Path) -> None:
    """Nine samples in eight lanes: the second step has one, which is the first process's."""
    folder = write_shards(tmp_path, (9,), ())
    _, second = sources(folder, TWO, lanes=8)
    batches = list(second.batches(0))
    assert [len(batch.numbers) for batch in batches] == [4, 0]
    assert [batch.total for batch in batches] == [8, 1]
    assert batches[1].inputs[0].shape == (0, 3, 64, 64)
    assert batches[1].targets.shape == (0, len(TAGS))
    assert batches[1].targets.dtype == torch.int8


@pytest.mark.parametrize("first_step", [1, 3])
def test_an_epoch_goes_on_at_any_step(folder: Path, wanted: list[Rows], first_step: int) -> None:
    found = epoch(sources(folder, TWO, workers=1), first_step=first_step)
    assert_same(found, wanted[first_step:])


def test_epochs_and_seeds_differ(folder: Path, wanted: list[Rows]) -> None:
    others = [
        epoch(sources(folder), 1),
        epoch(sources(folder, seed=4)),
    ]
    for other in others:
        assert not fingerprints(other) & fingerprints(wanted)  # other crops
    orders = [epoch(sources(folder, view=WHOLE), number) for number in range(2)]
    first, second = ([fingerprints([rows]) for rows in order] for order in orders)
    assert first != second


def test_without_a_seed_the_lanes_follow_the_disk(folder: Path) -> None:
    """Lanes are stretches of the disk's order; a step takes the next two samples of each."""
    photos = samples_of(folder, "train")
    steps = epoch(sources(folder, view=WHOLE, seed=None, workers=2))
    found = {number: pair for rows in steps for number, pair in rows.items()}
    lanes = np.array_split(np.arange(SAMPLES), 4)
    for lane, samples in enumerate(lanes):
        for position, place in enumerate(samples.tolist()):
            photo, record = photos[place]
            row, target = found[position * 4 + lane]
            assert torch.equal(row, alone(photo))
            assert target.tolist() == expected(record)


def expected(record: dict) -> list[int]:
    """Targets of a sample, slowly."""
    unknown = record.get("unknown", [])
    return [1 if code in record["codes"] else -int(code in unknown) for code in range(len(TAGS))]


def test_photos_of_several_shapes_keep_their_tags(folder: Path) -> None:
    """In one batch of all photos: each input's row of the targets is that of its photo."""
    photos = samples_of(folder, "train")
    by_pixels = {alone(photo).numpy().tobytes(): expected(record) for photo, record in photos}
    (source,) = sources(folder, view=WHOLE, batch=32)
    (batch,) = source.batches(0)
    assert len({each.shape[1:] for each in batch.inputs}) == len(batch.inputs) > 1
    assert any(-1 in target for target in by_pixels.values())
    (rows,) = epoch([source])
    for row, target in rows.values():
        assert target.tolist() == by_pixels[row.numpy().tobytes()]


def jpeg_cut_short() -> bytes:
    jpeg: bytes = sample(0)["jpg"]
    return jpeg[: len(jpeg) // 2]


GOOD = sample(1)
DAMAGED = [
    (sample(0, jpg=jpeg_cut_short()), "truncated"),
    (sample(0, jpg=b"no photo"), "not an image"),
    (sample(0, json={"codes": [], "tags": []}), "it has no tags"),
    (sample(0, json={"tags": ["red"]}), "it has no tags"),
    (sample(0, json={"codes": [1, 6]}), "its codes are not of a vocabulary of 6 tags"),
    (sample(0, json={"codes": [-1]}), "its codes are not of a vocabulary of 6 tags"),
    (sample(0, json={"codes": ["red"]}), "its codes are not of a vocabulary of 6 tags"),
    (sample(0, json={"codes": 1}), "its codes are not of a vocabulary of 6 tags"),
    (sample(0, json={"codes": [1], "unknown": [6]}), "its unknown are not of a vocabulary"),
    (sample(0, json=b'{"codes": [1'), "its .json is damaged"),
    (sample(0, json=b"[1]"), "its .json is damaged"),
    (sample(0, json=None), "the sample has no .json"),
]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_sample_is_counted_and_the_others_are_used(tmp_path: Path, workers: int) -> None:
    """Every other sample is damaged, each in another way."""
    write_shards(tmp_path, (2 * len(DAMAGED),), ())
    samples = [each for bad, _ in DAMAGED for each in (GOOD, bad)]
    write_shard(tmp_path / "train" / "000000.tar", samples)
    given = sources(tmp_path, TWO, WHOLE, workers=workers)
    rejects = given[0]._rejects.met
    for _ in range(2):  # the second epoch counts nothing twice
        steps = epoch(given)
        assert len(steps) == 3
        good = alone(Image.open(io.BytesIO(GOOD["jpg"])))
        assert fingerprints(steps) == {good.numpy().tobytes(): len(DAMAGED)}
    assert {one.place for one in rejects} == set(range(1, 2 * len(DAMAGED), 2))
    for one in rejects:
        assert DAMAGED[one.place // 2][1] in one.reason
        assert one.file.endswith("train/000000.tar")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("missing", "the shard cannot be opened"),
        ("truncated", "the shard is damaged"),
        ("shorter", "the shard has fewer samples than its index says"),
    ],
)
def test_a_damaged_shard_costs_its_own_samples_only(
    tmp_path: Path, damage: str, reason: str
) -> None:
    folder = write_shards(tmp_path, (9, 8, 12), ())
    wanted = epoch(sources(folder))
    path = folder / "train" / "000001.tar"
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        write_shard(path, [sample(number) for number in range(9, 12)])
    given = sources(folder, TWO, workers=2)
    found = epoch(given)
    rejects = given[0]._rejects.met
    assert len(found) == len(wanted) == 4
    assert {Path(one.file).name for one in rejects} == {"000001.tar"}
    assert all(one.reason.startswith(reason) for one in rejects)
    lost = {"missing": 8, "shorter": 5}.get(damage, len(rejects))
    assert 0 < lost == len(rejects) <= 8
    steps = zip(wanted, found, strict=True)
    assert_same(found, [{number: rows[number] for number in got} for rows, got in steps])
    assert sum(map(len, found)) == 29 - lost


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_or_begins_anew(folder: Path, wanted: list[Rows], workers: int) -> None:
    """From epoch to epoch; left in the middle, as by evaluation on a large split; and back."""
    given = sources(folder, workers=workers)
    assert epoch(given, first_step=4) == []  # a run goes on before the evaluation of an epoch
    assert_same(epoch(given, 1), epoch(sources(folder), 1))
    assert_same(epoch(given), wanted)
    assert_same(epoch(given, 1), epoch(sources(folder), 1))
    assert_same([rows_of([batch]) for batch in islice(given[0].batches(0), 2)], wanted[:2])
    assert_same(epoch(given), wanted)
