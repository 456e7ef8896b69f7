"""What is read from shards, whole and damaged."""

import io
import tarfile
from pathlib import Path

import pytest

from data_prep.shards.lanes import EpochPlan, Segment
from data_prep.shards.reading import Lost, Sample, read_lane, read_segment
from tests.data_prep.shards.tars import random_sizes, write_shards


def ids(items: list[Sample | Lost]) -> list[str]:
    return [item.record["image_id"] if isinstance(item, Sample) else "lost" for item in items]


def test_a_segment_is_what_was_written(tmp_path: Path) -> None:
    file = write_shards(tmp_path, [10])[0]
    items = list(read_segment(file, Segment(0, 3, 7)))
    assert ids(items) == ["3", "4", "5", "6"]
    sample = items[0]
    assert isinstance(sample, Sample)
    assert (sample.file, sample.place, sample.record["codes"]) == (file, 3, [0])
    with tarfile.open(file) as tar:
        member = tar.extractfile("000000_00003.jpg")
        assert member is not None
        assert sample.image == member.read()


@pytest.mark.parametrize("seed", [None, (1, 2)])
def test_lanes_read_each_sample_once(tmp_path: Path, seed: tuple[int, int] | None) -> None:
    sizes = random_sizes(0, 5, 30)
    files = write_shards(tmp_path, sizes)
    plan = EpochPlan(tuple(sizes), 12, 4, seed, block=7)
    found = [name for lane in range(4) for name in ids(list(read_lane(plan, files, lane)))]
    assert sorted(map(int, found)) == list(range(sum(sizes)))
    resumed = ids(list(read_lane(plan, files, 2, first=9)))
    assert resumed == ids(list(read_lane(plan, files, 2)))[9:]


def test_a_truncated_tar_loses_its_end_only(tmp_path: Path) -> None:
    file = Path(write_shards(tmp_path, [10])[0])
    whole = file.read_bytes()
    with tarfile.open(file) as tar:
        middle = tar.getmember("000000_00004.jpg").offset_data + 100
    file.write_bytes(whole[:middle])
    items = list(read_segment(str(file), Segment(0, 0, 10)))
    assert ids(items) == ["0", "1", "2", "3", *["lost"] * 6]
    last = items[-1]
    assert isinstance(last, Lost)
    assert "damaged (unexpected end of data)" in last.reason
    assert last.place == 9


def test_a_shard_that_is_gone_loses_its_samples(tmp_path: Path) -> None:
    items = list(read_segment(str(tmp_path / "000000.tar"), Segment(0, 2, 4)))
    assert [(i.place, "cannot be opened" in i.reason) for i in items if isinstance(i, Lost)] == [
        (2, True),
        (3, True),
    ]


def test_fewer_samples_than_the_index_says(tmp_path: Path) -> None:
    file = write_shards(tmp_path, [2])[0]
    items = list(read_segment(file, Segment(0, 0, 3)))
    assert ids(items) == ["0", "1", "lost"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a.jpg": b"x"}, "no .json"),
        ({"a.json": b"{}"}, "no .jpg"),
        ({"a.jpg": b"x", "a.json": b"{"}, "damaged"),
        ({"a.jpg": b"x", "a.json": b"[1]"}, "damaged"),
    ],
)
def test_an_incomplete_sample_is_lost_alone(
    tmp_path: Path, members: dict[str, bytes], reason: str
) -> None:
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in {**members, "b.jpg": b"x", "b.json": b"{}"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    first, second = read_segment(str(path), Segment(0, 0, 2))
    assert isinstance(first, Lost)
    assert reason in first.reason
    assert isinstance(second, Sample)
