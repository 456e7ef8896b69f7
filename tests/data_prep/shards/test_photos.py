"""Which file belongs to a row, and which never does."""

from pathlib import Path

import pytest

from data_prep.errors import UserError
from data_prep.images import UnusableImage
from data_prep.shards.photos import FolderPhotos


def in_folder(folder: Path, template: str = "{image_id}", max_pixels: int = 1000) -> FolderPhotos:
    return FolderPhotos(folder, template, max_pixels)


@pytest.mark.parametrize(
    ("file", "template", "row"),
    [
        ("7.jpg", "{image_id}", {"image_id": 7}),
        ("7.PNG", "{image_id}", {"image_id": "7"}),
        ("a.b", "{image_id}", {"image_id": "a.b"}),
        ("a.b.jpeg", "{image_id}", {"image_id": "a.b"}),
        ("ann/000007.webp", "{user}/{number:06d}", {"user": "ann", "number": 7}),
        ("été ☕.jpg", "{image_id}.jpg", {"image_id": "été ☕"}),
    ],
)
def test_names(tmp_path: Path, file: str, template: str, row: dict) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"photo")
    assert in_folder(tmp_path, template).read(row) == b"photo"


def test_a_name_as_it_is_goes_before_one_with_a_suffix(tmp_path: Path) -> None:
    (tmp_path / "7").write_bytes(b"as it is")
    (tmp_path / "7.jpg").write_bytes(b"with suffix")
    assert in_folder(tmp_path).read({"image_id": 7}) == b"as it is"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../secret.jpg", "unsafe file name"),
        ("sub/../../secret.jpg", "unsafe file name"),
        ("{outside}/secret.jpg", "unsafe file name"),
        ("secret\0.jpg", "unsafe file name"),
        ("", "unsafe file name"),
        (".", "missing"),
        ("nowhere", "missing"),
        ("sub", "missing"),
        ("x" * 5000, "not readable"),
        ("long", "too large"),
    ],
)
def test_rejected(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "long.jpg").write_bytes(bytes(8001))
    with pytest.raises(UnusableImage) as caught:
        in_folder(folder).read({"image_id": name.replace("{outside}", str(tmp_path))})
    assert caught.value.code == code


def test_a_link_out_of_the_folder_is_fine(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.jpg").write_bytes(b"photo")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "7.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    assert in_folder(tmp_path / "photos").read({"image_id": 7}) == b"photo"


def test_a_value_that_does_not_fit_the_template(tmp_path: Path) -> None:
    with pytest.raises(UnusableImage) as caught:
        in_folder(tmp_path, "{image_id:06d}").read({"image_id": "seven"})
    assert caught.value.code == "no file name"


def test_columns(tmp_path: Path) -> None:
    assert in_folder(tmp_path, "{user}/{image_id:06d}.jpg").columns() == ["user", "image_id"]
    for template in ("photo.jpg", "{}", "{0}.jpg", "{image_id", "{image_id.real}"):
        with pytest.raises(UserError, match="^file="):
            in_folder(tmp_path, template).columns()
