"""Backbones under a fresh head: which nets, which weights, what their heads get."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from data_prep.errors import UserError
from grounding.excitation import ExcitationBackprop
from grounding.heads import check_nonnegative, head_of, pooled_features, tag_net
from grounding.models import load_model

RELU_NETS = [
    "googlenet",
    "inception_v3",
    "vgg11",
    "resnet18",
    "squeezenet1_1",
    "mobilenet_v2",
    "densenet121",
    "efficientnet_lite0",
    "timm:resnet18",
]


def net(name: str, classes: int = 7, weights: str | Path | None = "random") -> nn.Module:
    torch.manual_seed(0)
    return tag_net(name, classes, weights)[0]


@pytest.mark.parametrize("name", RELU_NETS)
def test_nets_that_end_in_relu(name: str) -> None:
    model = net(name)
    size = 64 if name != "inception_v3" else 96
    batch = torch.randn(2, 3, size, size)
    with torch.no_grad():
        logits, features = model(batch), pooled_features(model, batch)
    head = head_of(model)[1]
    torch.testing.assert_close(head(features), logits)
    assert logits.shape == (2, 7)
    assert float(head.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
    assert not head.bias.any()
    assert not head._forward_pre_hooks
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    check_nonnegative(model, name, size)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    assert model(batch).shape == (2, 7)  # one tensor in training, too


@pytest.mark.parametrize(
    "name",
    [
        "timm:convnext_atto",
        "timm:efficientnet_b0",
        "timm:vit_tiny_patch16_224",
        "mobilenet_v3_small",
    ],
)
def test_nets_with_negative_features_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"^model {name}: .*negative.* ReLU: eff") as caught:
        check_nonnegative(net(name), name, 224)
    assert "\n" not in str(caught.value)


def test_a_net_without_a_linear_head_is_refused() -> None:
    with pytest.raises(UserError, match="model timm:dpn48b: .* no linear layer as its head"):
        net("timm:dpn48b")


def test_the_library_s_weights_are_kept_and_the_seed_decides_on_the_head() -> None:
    theirs = load_model("efficientnet_lite0", None, 1000)[0].state_dict()
    ours = net("efficientnet_lite0", 3, None)
    for key, value in ours.state_dict().items():
        if not key.startswith("classifier."):
            assert torch.equal(value, theirs[key]), key
    again = net("efficientnet_lite0", 3, None)
    assert torch.equal(head_of(ours)[1].weight, head_of(again)[1].weight)
    assert not torch.equal(head_of(ours)[1].weight, theirs["classifier.weight"][:3])


@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet", "resnet18"])
def test_a_file_s_old_head_is_not_read(tmp_path: Path, name: str) -> None:
    """Of the library's own net with five classes, and of a net with a fresh head."""
    torch.manual_seed(1)
    options = {"init_weights": False} if name == "googlenet" else {}
    theirs = torchvision.models.get_model(name, weights=None, num_classes=5, **options)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    torch.save(net(name, 4).state_dict(), tmp_path / "ours.pth")
    for file in ("theirs", "ours"):
        model = net(name, 7, tmp_path / f"{file}.pth")
        read = torch.load(tmp_path / f"{file}.pth")
        head = head_of(model)[0]
        for key, value in model.state_dict().items():
            assert key.startswith(f"{head}.") or torch.equal(value, read[key]), key
        assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    with pytest.raises(UserError, match=r"theirs\.pth: does not fit vgg11: features\.\d"):
        net("vgg11", 7, tmp_path / "theirs.pth")


def test_squeezenet_s_head_scores_as_its_own_did_but_is_not_clipped() -> None:
    """The same weights, of a convolution and of a linear layer after pooling."""
    theirs = torchvision.models.squeezenet1_1(num_classes=7).eval()
    ours = net("squeezenet1_1")
    convolution = theirs.classifier[1]
    weights = {k: v for k, v in theirs.state_dict().items() if k.startswith("features.")}
    ours.load_state_dict(weights, strict=False)
    head = head_of(ours)[1]
    head.load_state_dict({"weight": convolution.weight[:, :, 0, 0] * 3, "bias": convolution.bias})
    batch = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        unclipped = nn.functional.conv2d(
            theirs.features(batch), convolution.weight * 3, convolution.bias
        )
        torch.testing.assert_close(ours(batch), unclipped.mean((2, 3)))
        assert ours(batch).min() < 0


@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet", "efficientnet_lite0"])
def test_the_engine_takes_the_net(name: str) -> None:
    state = ExcitationBackprop(net(name))(torch.randn(1, 3, 64, 64))
    maps = state.cmwp(torch.eye(7))
    assert maps.shape[:2] == (1, 7)
    assert (maps >= 0).all()
    assert maps.sum() > 0
