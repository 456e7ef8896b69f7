"""Stage `attend` with the real default classifier on real photos."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
import torchvision
from hydra import compose, initialize_config_module
from PIL import Image

from data_prep.errors import UserError
from data_prep.images import open_image
from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.preprocessing import Preprocessing
from pipeline import attend

PHOTOS = Path(skimage.__path__[0]) / "data"
CAT, COFFEE = PHOTOS / "chelsea.png", PHOTOS / "coffee.png"


def run(*overrides: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", ["stage=attend", "device=cpu", *overrides])
    attend.run(config)


def metrics(out: Path) -> dict:
    return json.loads((out / "metrics.json").read_text())


def maps(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "attention.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished")
    run(f"image={CAT}", "words=[cat]", f"out={out}")
    return out


def test_one_photo(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run(f"image={CAT}", "words=[cat,espresso]", f"out={tmp_path}")
    assert {path.name for path in tmp_path.iterdir()} == {
        "attention.npz",
        "config.yaml",
        "contact_sheet.png",
        "done.json",
        "metrics.json",
        "overlay_cat.png",
        "overlay_espresso.png",
    }
    found = maps(tmp_path)
    assert list(found) == ["cat", "espresso"]
    for attention in found.values():
        assert attention.shape == (300, 451)
        assert attention.dtype == np.float32
        assert attention.min() >= 0
        assert attention.max() > 0
    rows, columns = np.unravel_index(found["cat"].argmax(), (300, 451))
    assert 50 < rows < 300  # in the face, not in the corner above it
    assert 50 < columns < 360
    assert Image.open(tmp_path / "overlay_cat.png").size == (451, 300)

    measured = metrics(tmp_path)
    assert measured["done"] == 1
    assert measured["rejected"] == {}
    assert measured["seconds"] > measured["photos"][0]["seconds"] > 0
    words = measured["photos"][0]["words"]
    assert words["cat"]["how"] == "hypernym"
    assert "tabby" in words["cat"]["classes"]
    assert words["espresso"] == words["espresso"] | {"how": "exact", "indices": [967]}
    assert 0.3 < words["cat"]["score"] <= 1
    assert words["espresso"]["score"] < 0.01
    assert all(0 <= word["leak"] <= 1 for word in words.values())

    capsys.readouterr()
    run(f"image={CAT}", "words=[cat,espresso]", f"out={tmp_path}")
    assert "already finished" in capsys.readouterr().out


def test_attention_follows_the_word(tmp_path: Path) -> None:
    """Two photos side by side: each word's attention lies on its own half."""
    both = Image.new("RGB", (800, 400))
    both.paste(Image.open(CAT).convert("RGB").resize((400, 400)), (0, 0))
    both.paste(Image.open(COFFEE).convert("RGB").resize((400, 400)), (400, 0))
    both.save(tmp_path / "both.png")
    run(f"image={tmp_path / 'both.png'}", "words=[cat,espresso]", f"out={tmp_path / 'out'}")
    found = maps(tmp_path / "out")
    assert found["cat"][:, :400].sum() > 0.7 * found["cat"].sum()
    assert found["espresso"][:, 400:].sum() > 0.7 * found["espresso"].sum()


def test_a_folder_with_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "coffee.png").write_bytes(COFFEE.read_bytes())
    Image.open(CAT).save(photos / "coffee.jpg")
    Image.new("RGB", (1, 1), "red").save(photos / "dot.png")
    (photos / "cut.png").write_bytes(CAT.read_bytes()[:50_000])
    (photos / "notes.txt").write_text("no photo")
    out = tmp_path / "out"
    run(f"image={photos}", 'caption="A cup of espresso, please"', f"out={out}")

    assert list(maps(out / "coffee")) == ["cup", "espresso"]
    assert maps(out / "coffee")["cup"].shape == (300, 451)
    assert maps(out / "coffee_2")["cup"].shape == (400, 600)
    assert maps(out / "dot")["cup"].shape == (1, 1)
    assert metrics(out)["done"] == 3
    assert metrics(out)["rejected"] == {"truncated": 1, "not an image": 1}
    rejects = [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
    assert [Path(reject["image"]).name for reject in rejects] == ["cut.png", "notes.txt"]
    assert rejects[0]["code"] == "truncated"
    assert "image file is truncated" in rejects[0]["reason"]
    assert rejects[1]["code"] == "not an image"
    assert rejects[1]["reason"].startswith("not an image; give one of")
    printed = capsys.readouterr()
    assert printed.err.count("rejected: ") == 2
    assert "3 done, 2 rejected" in printed.out
    assert (out / "done.json").exists()


def test_a_photo_too_small_for_the_net_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panorama is scaled down so far that AlexNet's last pooling has nothing left."""
    torch.manual_seed(0)
    net = torchvision.models.alexnet().eval()
    alexnet = TagClassifier(net, Vocabulary.imagenet(), Preprocessing((0.5,) * 3, (0.5,) * 3), "a")
    monkeypatch.setattr(TagClassifier, "pretrained", lambda **_: alexnet)
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (200, 200), "red").save(photos / "a.png")
    Image.new("RGB", (2000, 200), "red").save(photos / "b.png")
    run(f"image={photos}", "words=cat", f"out={tmp_path / 'out'}", "short_side=64")
    assert metrics(tmp_path / "out")["done"] == 1
    assert metrics(tmp_path / "out")["rejected"] == {"too small": 1}
    reject = json.loads((tmp_path / "out" / "rejects.jsonl").read_text())
    assert reject["image"].endswith("b.png")
    assert reject["reason"].endswith("raise short_side")


def test_no_usable_photo_is_an_error(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.txt", "b.txt"):
        (photos / name).write_text("no photo")
    out = tmp_path / "out"
    with pytest.raises(UserError, match="none of 2 files is a usable photo"):
        run(f"image={photos}", "words=cat", f"out={out}")
    assert (out / "rejects.jsonl").read_text().count('"code": "not an image"') == 2
    assert not (out / "done.json").exists()


def test_one_unusable_photo_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"chelsea\.png: 451×300 pixels .* max_pixels=1000;"):
        run(f"image={CAT}", "words=cat", f"out={tmp_path}", "max_pixels=1000")
    assert not (tmp_path / "done.json").exists()


def test_reject_codes_of_real_files(tmp_path: Path) -> None:
    data = CAT.read_bytes()
    (tmp_path / "truncated").write_bytes(data[:50_000])
    (tmp_path / "also truncated").write_bytes(data[:90_000])
    (tmp_path / "not an image").write_text("cannot be decoded, truncated")
    (tmp_path / "too large").write_bytes(data)
    (tmp_path / "damaged").write_bytes(data[:60_000] + bytes(50) + data[60_050:])
    limits = {"too large": 1000}
    expected = ["truncated", "not an image", "too large", "damaged", "missing"]
    for code in [*expected, "also truncated"]:
        with pytest.raises(UserError) as caught:
            open_image(tmp_path / code, limits.get(code, 10**9))
        assert attend._code(caught.value) == code.removeprefix("also ")


def test_one_unusable_photo_leaves_a_finished_run_alone(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(CAT.read_bytes()[:50_000])
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    with pytest.raises(UserError, match=r"cut\.png: cannot be decoded"):
        run(f"image={tmp_path / 'cut.png'}", "words=cat", f"out={finished}", "overwrite=true")
    assert {path.name: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_overwrite_keeps_a_person_s_files(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("cat", "cup"):
        (photos / f"{name}.png").symlink_to(CAT)
    out = tmp_path / "out"
    run(f"image={photos}", "words=cat", f"out={out}")
    (out / "notes.txt").write_text("mine")
    (out / "cat" / "notes.txt").write_text("mine")
    run(f"image={CAT}", "words=dog", f"out={out}", "overwrite=true")
    assert {str(path.relative_to(out)) for path in out.rglob("*")} == {
        "attention.npz",
        "cat",
        "cat/notes.txt",
        "config.yaml",
        "contact_sheet.png",
        "done.json",
        "metrics.json",
        "notes.txt",
        "overlay_dog.png",
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["words=[cat,esspresso]"], "esspresso.*espresso"),
        (['caption="xyzzy"'], "no word of the vocabulary"),
        (["words=[]"], "no word"),
        ([], "give either words="),
        (["words=cat", "caption=cat"], "give either words="),
        (["words=cat", "method=magic"], "method=magic"),
        (["words=cat", "short_side=0"], "short_side=0: give a whole number of pixels"),
        (["words=cat", "max_pixels=many"], "max_pixels=many: give a whole number of pixels"),
        (["words=cat", "resolution=fine"], "resolution=fine: give a whole number"),
        (["words=cat", "target=5"], "5"),
        (["words=cat", "model.name=resnet5000"], "resnet5000"),
        (["words=cat", "model.weights=nowhere.pth"], "nowhere.pth"),
        (["words=cat", "target=layer99"], "layer99"),
        (["words=cat", "overwrite=maybe"], "overwrite=maybe: give true or false"),
        (["words=cat", "model.multi_label=maybe"], "model.multi_label=maybe: give true or false"),
        (["words=cat", "target=blocks.4", "resolution=28"], "both choose the layer; give one"),
        (["words=cat", "short_side=4097"], "short_side=4097: give 4096 pixels or fewer"),
        (["words=cat", "model.name=5"], "model.name=5: give the name"),
        (["words=cat", "model.weights=5"], "model.weights=5: give a file"),
        (["words=cat", "model.preprocessing={mean:5}"], "mean=5 is no list; give three numbers"),
        (
            ["words=cat", "model.preprocessing={white:abc}"],
            "white=abc is unusable; give finite numbers",
        ),
        (["words=cat", "model.preprocessing=[1]"], "give fields and values"),
    ],
)
def test_unusable_keys_leave_a_finished_run_alone(
    finished: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run(f"image={COFFEE}", f"out={finished}", "overwrite=true", *overrides)
    assert "\n" not in str(caught.value)
    assert (finished / "done.json").exists()


def test_another_net_with_local_weights(tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    weights = tmp_path / "net.pth"
    torch.save(squeezenet1_1(weights=None).state_dict(), weights)
    run(
        f"image={CAT}",
        "words=cat",
        "model.name=squeezenet1_1",
        f"model.weights={weights}",
        f"out={tmp_path / 'out'}",
    )
    assert maps(tmp_path / "out")["cat"].shape == (300, 451)


@pytest.mark.real_data
def test_real_weights_with_their_own_preprocessing(tmp_path: Path, real_data: Path) -> None:
    weights = real_data / "weights" / "squeezenet1_0_caffe_bgr.pth"
    run(
        f"image={CAT}",
        "words=[cat,espresso]",
        "model.name=squeezenet1_0",
        f"model.weights={weights}",
        "model.preprocessing={mean:[104,117,123],std:[1,1,1],white:255,channels:BGR}",
        f"out={tmp_path}",
    )
    words = metrics(tmp_path)["photos"][0]["words"]
    assert words["cat"]["score"] > 0.5
    assert words["espresso"]["score"] < 0.01
    rows, columns = np.unravel_index(maps(tmp_path)["cat"].argmax(), (300, 451))
    assert 50 < rows < 300
    assert 30 < columns < 360  # in the cat's face


def test_weights_of_another_net(tmp_path: Path) -> None:
    weights = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(3)}, weights)
    for content in (None, b"no weights at all"):
        if content is not None:
            weights.write_bytes(content)
        with pytest.raises(UserError, match=r"other\.pth"):
            run(f"image={CAT}", "words=cat", f"model.weights={weights}", f"out={tmp_path / 'out'}")


def test_words_that_are_awkward_as_file_names(tmp_path: Path) -> None:
    """In an archive and on disk: keyword names of np.savez, separators, letter case."""
    image = Image.new("RGB", (3, 2))
    words = ["file", "../up", "Cat", "cat", "cat_2", "a/b", "žluť"]
    given = {word: np.full((2, 3), i, np.float32) for i, word in enumerate(words)}
    folder = tmp_path / "out"
    attend._write(folder, image, given)
    found = maps(folder)
    assert list(found) == words
    assert all((found[word] == given[word]).all() for word in words)
    assert len(list(folder.glob("overlay_*.png"))) == len(words)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_safe_names() -> None:
    names = attend.safe_names(["a b", "a/b", "A_B", "...", "", "x" * 300, "日本"])
    assert names == ["a_b", "a_b_2", "A_B_3", "unnamed", "unnamed_2", "x" * 80, "日本"]


def test_an_interrupted_run_is_told_and_unfinished(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(200):
        (photos / f"{i}.png").symlink_to(CAT)
    out = tmp_path / "out"
    keys = ["stage=attend", f"image={photos}", "words=cat", f"out={out}", "device=cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *keys],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "HYDRA_FULL_ERROR": "0"},
        text=True,
    )
    while not (out / "1").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate()
    assert process.returncode == 130
    assert printed.strip() == "Interrupted."
    assert (out / "config.yaml").exists()
    assert not (out / "done.json").exists()
