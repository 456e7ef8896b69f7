"""Baselines' maps against sums and autograd by hand."""

import sys

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad
from torchvision.models import squeezenet1_1

from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding.baseline_maps import BaselineMethod, baseline_maps
from grounding.classifier import TagClassifier
from grounding.heads import tag_net
from grounding.preprocessing import Preprocessing

CLASSES = 5
METHODS: tuple[BaselineMethod, ...] = ("cam", "grad_cam", "gradient")


class Net(nn.Module):
    """Two convolutions that share an activation, a head under global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(6, 4, 3)
        self.act = nn.ReLU(inplace=True)
        self.features = nn.Sequential(self.second, nn.ReLU(inplace=True))
        self.head = nn.Linear(4, CLASSES)

    def trunk(self, x: Tensor) -> Tensor:
        return self.features(self.act(self.first(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).mean((2, 3)))


class Flat(Net):
    """A head that sees positions and is not linear: CAM is not defined, Grad-CAM is."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(4 * 2 * 3, 7)
        self.head = nn.Linear(7, CLASSES)

    def top(self, features: Tensor) -> Tensor:
        return self.head(self.hidden(self.pool(features).flatten(1)).tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.top(self.trunk(x))


def classifier_of(net: nn.Module) -> TagClassifier:
    vocabulary = Vocabulary.from_tags([f"tag{n}" for n in range(CLASSES)])
    return TagClassifier(net.eval(), vocabulary, Preprocessing((0.5,) * 3, (0.5,) * 3), "net")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def pixels() -> Tensor:
    return torch.randn(1, 3, 13, 17, dtype=torch.float64)


@pytest.fixture
def priors() -> Tensor:
    """Words of one class, of three, and of all."""
    table = torch.zeros(3, CLASSES, dtype=torch.float64)
    table[0, 1] = 1
    table[1, [0, 2, 4]] = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    table[2] = 1 / CLASSES
    return table


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


def test_gradient_by_autograd(pixels: Tensor, priors: Tensor) -> None:
    net = Flat().double()
    found = baseline_maps(classifier_of(net), "gradient", pixels, priors)
    given = pixels.clone().requires_grad_()
    for one, prior in zip(found, priors, strict=True):
        (slope,) = grad((net(given)[0] * prior).sum(), given)
        torch.testing.assert_close(one, slope[0].abs().amax(0).float())


def state_of(net: nn.Module) -> list[object]:
    modules = [
        (each.training, len(each._forward_hooks), len(each._forward_pre_hooks))
        for each in net.modules()
    ]
    parameters = [(p.requires_grad, p.grad, p.detach().clone()) for p in net.parameters()]
    return [modules, [(a, b) for a, b, _ in parameters], *(p for *_, p in parameters)]


class Failing(Net):
    """Fails at its head: after the layer whose features are taken."""

    fails = 99

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        self.fails -= 1
        if self.fails < 0:
            raise RuntimeError("out of memory")
        return logits


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fails", [0, 1, 99])
@pytest.mark.parametrize("trainable", [False, True])
def test_nothing_is_left_behind(
    method: BaselineMethod, fails: int, trainable: bool, pixels: Tensor, priors: Tensor
) -> None:
    net = Failing().double().requires_grad_(trainable)
    classifier, before, image = classifier_of(net), state_of(net), pixels.clone()
    net.fails = fails
    with torch.no_grad():  # of the caller: no hindrance
        try:
            maps = baseline_maps(classifier, method, pixels, priors)
        except RuntimeError:
            assert fails < 2
        else:
            assert not maps.requires_grad
            assert (maps > 0).any()
        assert not torch.is_grad_enabled()
    after = state_of(net)
    assert after[:2] == before[:2]
    assert all(map(torch.equal, after[2:], before[2:]))  # type: ignore[arg-type]
    assert torch.equal(pixels, image)
    assert not pixels.requires_grad
    assert pixels.grad is None


@pytest.fixture(params=["efficientnet_lite0", "resnet18", "squeezenet1_1", "vgg11"])
def real(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    return request.param, tag_net(request.param, CLASSES, "random")[0]


def test_nets_of_the_registry(real: tuple[str, nn.Module]) -> None:
    """The grid is the last convolution's; only VGG's head sees positions."""
    name, net = real
    classifier, priors = classifier_of(net), torch.eye(CLASSES)[:2]
    pixels = torch.randn(1, 3, 96, 128)
    grid = {"vgg11": (6, 8), "squeezenet1_1": (5, 7)}.get(name, (3, 4))
    for method in METHODS:
        if (name, method) == ("vgg11", "cam"):
            with pytest.raises(UserError, match=r"^model net: CAM needs .* take grad_cam$"):
                baseline_maps(classifier, method, pixels, priors)
            continue
        maps = baseline_maps(classifier, method, pixels, priors)
        assert maps.shape == (2, *((96, 128) if method == "gradient" else grid))
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


def test_captum_missing_and_unknown_methods(
    pixels: Tensor, priors: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = classifier_of(Net().double())
    monkeypatch.setitem(sys.modules, "captum", None)
    for method in ("grad_cam", "gradient"):
        with pytest.raises(
            UserError, match=r"^method \w+ needs Captum; pip install 'tag2box\[peers\]'$"
        ):
            baseline_maps(classifier, method, pixels, priors)
    assert len(baseline_maps(classifier, "cam", pixels, priors)) == 3
    with pytest.raises(ValueError, match="cam, grad_cam, gradient"):
        baseline_maps(classifier, "lime", pixels, priors)  # type: ignore[arg-type]
