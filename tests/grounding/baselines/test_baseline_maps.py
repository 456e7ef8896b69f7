"""Maps of other methods against sums and autograd by hand, and what they leave behind."""

import sys
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad
from torchvision.models import squeezenet1_1

from data_prep.errors import UserError
from grounding.baselines import BaselineMethod, baseline_maps
from grounding.heads import tag_net
from tests.grounding.baselines.nets import CLASSES, Flat, Net, classifier_of

METHODS: tuple[BaselineMethod, ...] = get_args(BaselineMethod)


def test_cam_is_the_sum_over_the_channels(pixels: Tensor, priors: Tensor) -> None:
    net = Net().double().requires_grad_(False)
    found = baseline_maps(classifier_of(net), "cam", pixels, priors)
    features = net.trunk(pixels)[0].detach()
    assert found.shape == (3, *features.shape[1:]) == (3, 4, 6)
    assert found.dtype == torch.float32
    for word, prior in enumerate(priors):
        for y in range(4):
            for x in range(6):
                by_hand = sum(
                    float(prior[c] * net.head.weight[c, f] * features[f, y, x])
                    for c in range(CLASSES)
                    for f in range(4)
                )
                assert float(found[word, y, x]) == pytest.approx(max(by_hand, 0), rel=1e-6)
    assert (found == 0).any()
    assert (found > 0).any()


def test_grad_cam_by_autograd(pixels: Tensor, priors: Tensor) -> None:
    net = Flat().double()
    found = baseline_maps(classifier_of(net), "grad_cam", pixels, priors)
    features = net.trunk(pixels).detach().requires_grad_()
    for one, prior in zip(found, priors, strict=True):
        (slope,) = grad((net.top(features)[0] * prior).sum(), features)
        weights = slope[0].mean((1, 2))
        expected = torch.relu(torch.einsum("c,chw->hw", weights, features[0].detach()))
        torch.testing.assert_close(one, expected.float())
    assert (found > 0).any()


def test_grad_cam_is_cam_under_global_average_pooling(pixels: Tensor, priors: Tensor) -> None:
    classifier = classifier_of(Net().double())
    cam = baseline_maps(classifier, "cam", pixels, priors)
    grad_cam = baseline_maps(classifier, "grad_cam", pixels, priors)
    torch.testing.assert_close(cam[0].numel() * grad_cam, cam)


def state_of(net: nn.Module) -> list[object]:
    modules = [
        (each.training, len(each._forward_hooks), len(each._forward_pre_hooks))
        for each in net.modules()
    ]
    parameters = [(p.requires_grad, p.grad, p.detach().clone()) for p in net.parameters()]
    return [modules, [(a, b) for a, b, _ in parameters], *(p for *_, p in parameters)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fails", [0, 1, 2, 3, 99])
@pytest.mark.parametrize("trainable", [False, True])
def test_nothing_is_left_behind(
    method: BaselineMethod,
    fails: int,
    trainable: bool,
    pixels: Tensor,
    priors: Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The head fails in the run after so many: of the model, of its copy, or within a rule."""
    net = Net().double().requires_grad_(trainable)
    classifier, before, image = classifier_of(net), state_of(net), pixels.clone()
    runs = iter(range(1000))
    plain = nn.Linear.forward

    def forward(self: nn.Linear, x: Tensor) -> Tensor:
        if next(runs) == fails:
            raise RuntimeError("out of memory")
        return plain(self, x)

    failed = False
    with torch.no_grad(), monkeypatch.context() as patch:  # no_grad of the caller: no hindrance
        patch.setattr(nn.Linear, "forward", forward)
        try:
            maps = baseline_maps(classifier, method, pixels, priors)
        except RuntimeError:
            failed = True
        else:
            assert not maps.requires_grad
            assert (maps > 0).any()
        assert not torch.is_grad_enabled()
    assert failed == (fails < {"cam": 2, "gradient": 3}.get(method, 4))
    after = state_of(net)
    assert after[:2] == before[:2]
    assert all(map(torch.equal, after[2:], before[2:]))  # type: ignore[arg-type]
    assert torch.equal(pixels, image)
    assert not pixels.requires_grad
    assert pixels.grad is None
    again = baseline_maps(classifier, method, pixels, priors)  # nothing on the cached copy either
    other = Net().double()
    other.load_state_dict(net.state_dict())
    fresh = baseline_maps(classifier_of(other), method, pixels, priors)
    torch.testing.assert_close(again, fresh)


@pytest.fixture(params=["efficientnet_lite0", "resnet18", "squeezenet1_1", "alexnet"])
def real(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    return request.param, tag_net(request.param, CLASSES, "random")[0]


def test_nets_of_the_registry(real: tuple[str, nn.Module]) -> None:
    """The grid is the last convolution's; only AlexNet's head sees positions."""
    name, net = real
    classifier, priors = classifier_of(net), torch.eye(CLASSES)[:2]
    pixels = torch.randn(1, 3, 96, 128)
    grid = {"alexnet": (5, 7), "squeezenet1_1": (5, 7)}.get(name, (3, 4))
    for method in METHODS:
        if (name, method) == ("alexnet", "cam"):
            with pytest.raises(UserError, match=r"^model net: CAM needs .* take grad_cam$"):
                baseline_maps(classifier, method, pixels, priors)
            continue
        maps = baseline_maps(classifier, method, pixels, priors)
        assert maps.shape == (2, *(grid if "cam" in method else (96, 128)))
        assert (maps >= 0).all()
        assert (maps > 0).any()


def test_cam_of_a_head_that_scores_every_position() -> None:
    """SqueezeNet as torchvision has it ends in a 1×1 convolution, ReLU and pooling."""
    net = squeezenet1_1(num_classes=CLASSES).eval()
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        features = net.features(pixels)
        conv = net.classifier[1]
        expected = torch.relu(conv(features) - conv.bias[:, None, None])[0]
    found = baseline_maps(classifier_of(net), "cam", pixels, torch.eye(CLASSES))
    torch.testing.assert_close(found, expected)


def test_a_net_without_a_grid(pixels: Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 13 * 17, CLASSES)).double()
    for method in ("cam", "grad_cam"):
        with pytest.raises(UserError, match="no convolution before its head has a grid"):
            baseline_maps(classifier_of(net), method, pixels, torch.eye(CLASSES))


def test_missing_packages_and_unknown_methods(
    pixels: Tensor, priors: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = classifier_of(Net().double())
    for package in ("captum", "zennit", "zennit.composites"):
        monkeypatch.setitem(sys.modules, package, None)
    for method in METHODS[1:]:
        needed = "zennit" if method == "lrp" else "Captum"
        message = rf"^method {method} needs {needed}; pip install 'tag2box\[peers\]'$"
        with pytest.raises(UserError, match=message):
            baseline_maps(classifier, method, pixels, priors)
    assert len(baseline_maps(classifier, "cam", pixels, priors)) == 3
    with pytest.raises(
        ValueError, match="cam, grad_cam, gradient, deconvnet, guided_backprop, lrp"
    ):
        baseline_maps(classifier, "lime", pixels, priors)  # type: ignore[arg-type]
