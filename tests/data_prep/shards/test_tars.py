"""Photos found by key in the tar files that img2dataset writes."""

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest

from data_prep.images import UnusableImage
from data_prep.shards.photos import TarPhotos
from data_prep.shards.tars import locate, scan


def write_tar(path: Path, members: dict[str, bytes], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def sample(key: str, suffix: str = "jpg") -> dict[str, bytes]:
    return {
        f"{key}.{suffix}": f"photo {key}".encode() * 50,
        f"{key}.json": b"{}",
        f"{key}.txt": b"",
    }


def read_all(files: list[Path], ids: list) -> list[bytes | str]:
    """Give each id's photo, or why there is none."""
    rows = locate(pa.record_batch({"image_id": pa.array(ids)}), [scan(file) for file in files])
    photos = TarPhotos(tuple(files), 2000)
    found: list[bytes | str] = []
    for row in rows.to_pylist():
        try:
            found.append(photos.read(row))
        except UnusableImage as error:
            found.append(error.code)
    return found


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_photo_is_found(tmp_path: Path, form: int) -> None:
    keys = ["000000000", "000000010", "long" * 40 if form != tarfile.USTAR_FORMAT else "short"]
    first = write_tar(tmp_path / "00000.tar", sample(keys[0]) | sample(keys[1], "webp"), form)
    second = write_tar(tmp_path / "00001.tar", sample(keys[2], "JPEG"), form)
    wanted = [f"photo {key}".encode() * 50 for key in keys]
    found = read_all([first, second], [*reversed(keys), "no such key"])
    assert found == [*reversed(wanted), "missing"]


def test_ids_that_are_numbers(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "0.tar", sample("000000000") | sample("000012340"))
    assert read_all([file], [12340, 0, 1234]) == [
        b"photo 000012340" * 50,
        b"photo 000000000" * 50,
        "missing",
    ]
    assert read_all([file], ["12340"]) == ["missing"]  # text is compared as text


def test_what_is_no_photo(tmp_path: Path) -> None:
    members = {"a.json": b"{}", "a.seg.png": b"mask", "b": b"none", ".jpg": b"no key"}
    file = write_tar(tmp_path / "0.tar", members)
    assert scan(file).members.num_rows == 0
    assert read_all([file], ["a", "b", ""]) == ["missing"] * 3


def test_a_member_too_long_for_a_photo(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "0.tar", {"a.jpg": bytes(16_000), "b.jpg": bytes(16_001)})
    assert read_all([file], ["a", "b"]) == [bytes(16_000), "too large"]


def test_of_equal_keys_the_first_counts(tmp_path: Path) -> None:
    files = [write_tar(tmp_path / f"{n}.tar", {"a.jpg": f"{n}".encode()}) for n in range(2)]
    assert read_all(files, ["a"]) == [b"0"]


@pytest.mark.parametrize("cut", [100, 512 + 700, 4 * 512, 9 * 512 + 3, 9 * 512 + 513])
def test_a_tar_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    keys = [f"{n}" for n in range(6)]
    whole = write_tar(tmp_path / "whole.tar", {f"{key}.jpg": key.encode() * 900 for key in keys})
    damaged = tmp_path / "cut.tar"
    damaged.write_bytes(whole.read_bytes()[:cut])
    assert scan(whole).whole
    assert not scan(damaged).whole
    # Each photo takes a block of 512 bytes for its header, and two for its content.
    kept = [key for n, key in enumerate(keys) if cut >= n * 1536 + 512 + 900]
    expected = [key.encode() * 900 if key in kept else "missing" for key in keys]
    assert read_all([damaged], keys) == expected


def test_a_damaged_header(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "0.tar", {f"{key}.jpg": key.encode() * 900 for key in "abc"})
    content = bytearray(file.read_bytes())
    content[1536 : 1536 + 512] = b"?" * 512
    file.write_bytes(content)
    assert not scan(file).whole
    assert read_all([file], list("abc")) == [b"a" * 900, "missing", "missing"]


@pytest.mark.parametrize("content", [b"", b"no tar" * 500])
def test_no_tar_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0.tar").write_bytes(content)
    found = scan(tmp_path / "0.tar")
    assert (found.whole, found.members.num_rows) == (False, 0)


def test_a_tar_that_is_gone(tmp_path: Path) -> None:
    file = write_tar(tmp_path / "0.tar", sample("a"))
    rows = locate(pa.record_batch({"image_id": ["a"]}), [scan(file)])
    file.unlink()
    with pytest.raises(UnusableImage) as caught:
        TarPhotos((file,), 2000).read(rows.to_pylist()[0])
    assert caught.value.code == "not readable"
