"""Gradient, deconvnet and guided backprop against their rules by hand; the blur against SciPy."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn import functional

from data_prep.errors import UserError
from grounding.baselines import BaselineMethod, baseline_maps
from grounding.baselines.gradients import blurred
from grounding.heads import tag_net
from tests.grounding.baselines.nets import CLASSES, classifier_of

Activation = Callable[[Tensor, float], Tensor]


class Forms(nn.Module):
    """ReLUs in all their forms: shared, in place, as functions and methods, capped at 6."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if i == 0 else 5, 5, 3, padding=1) for i in range(6))
        self.norm = nn.BatchNorm2d(5)
        nn.init.normal_(self.norm.running_mean)  # type: ignore[arg-type]
        nn.init.uniform_(self.norm.running_var, 0.5, 2)  # type: ignore[arg-type]
        nn.init.normal_(self.norm.weight)
        self.shared, self.capped = nn.ReLU(inplace=True), nn.ReLU6(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shared(self.norm(self.convs[0](x)))
        skip = x = self.convs[1](x)
        x = torch.relu(x)  # what it reads is read again, by the sum
        x = self.convs[2](x)
        x += skip
        x = self.pool(self.shared(x))
        x = functional.relu(self.convs[3](x), inplace=True)
        x = self.capped(9 * self.convs[4](x))
        x = functional.relu6(9 * self.convs[5](x)).relu_()
        return self.head(x.mean((2, 3)))

    def by_hand(self, x: Tensor, relu: Activation) -> Tensor:
        inf = float("inf")
        x = relu(self.norm(self.convs[0](x)), inf)
        skip = self.convs[1](x)
        x = self.convs[2](relu(skip.clone(), inf)) + skip
        x = self.pool(relu(x, inf))
        x = relu(self.convs[3](x), inf)
        x = relu(9 * self.convs[4](x), 6.0)
        x = relu(relu(9 * self.convs[5](x), 6.0), inf)
        return self.head(x.flatten(2).mean(2))


class Guided(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, top: float) -> Tensor:
        ctx.save_for_backward((x > 0) & (x < top))
        return x.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        (live,) = ctx.saved_tensors
        return slope * (slope > 0) * live, None


class Deconv(Guided):
    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return slope * (slope > 0), None


RULES: dict[BaselineMethod, Activation] = {
    "gradient": lambda x, top: x.clamp(0, top),
    "deconvnet": Deconv.apply,
    "guided_backprop": Guided.apply,
}


def filtered(maps: Tensor) -> Tensor:
    sigma = 0.02 * max(maps.shape[1:])
    return torch.stack(
        [torch.from_numpy(gaussian_filter(each.numpy(), sigma, mode="mirror")) for each in maps]
    )


@pytest.mark.parametrize("method", RULES)
def test_rules_by_hand(method: BaselineMethod, priors: Tensor) -> None:
    net = Forms().double().eval()
    given = torch.randn(1, 3, 40, 60, dtype=torch.float64).requires_grad_()
    scores = net.by_hand(given, RULES[method])
    torch.testing.assert_close(scores, net(given))
    slopes = [grad((scores[0] * prior).sum(), given, retain_graph=True)[0][0] for prior in priors]
    expected = filtered(torch.stack(slopes).abs().amax(1))
    found = baseline_maps(classifier_of(net), method, given.detach(), priors)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.float())


@pytest.mark.parametrize("shape", [(1, 13, 17), (2, 40, 300), (1, 200, 51)])
def test_blur_is_scipys(shape: tuple[int, int, int]) -> None:
    maps = torch.rand(shape, dtype=torch.float64)
    torch.testing.assert_close(blurred(maps), filtered(maps))


def test_blur_of_a_sliver() -> None:
    """Thinner than the filter's reach: still blurred along it."""
    maps = torch.zeros(1, 3, 400)
    maps[0, 1, 200] = 1
    found = blurred(maps)[0]
    assert torch.isfinite(found).all()
    across = found.sum(0) / found.sum()
    places = torch.arange(400.0) - 200
    assert float((across * places**2).sum() ** 0.5) == pytest.approx(8, rel=0.01)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet18", "densenet121", "googlenet"])
def test_the_three_differ(name: str) -> None:
    """ReLU6 within batch norms, blocks that share a ReLU, functions: none is missed."""
    classifier = classifier_of(tag_net(name, CLASSES, "random")[0])
    pixels, prior = torch.randn(1, 3, 64, 96), torch.eye(CLASSES)[:1]
    maps = [baseline_maps(classifier, method, pixels, prior) for method in RULES]
    one, two, three = (each / each.sum() for each in maps)
    for a, b in ((one, two), (one, three), (two, three)):
        assert float((a - b).abs().sum()) > 0.05


class Overwritten(nn.Module):
    """What a ReLU overwrote is read again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        y = functional.relu(x, inplace=True)
        return self.head((3 * x + y).mean((2, 3)))


class Branching(Overwritten):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.sum() > 0 else -x)


def small(activation: nn.Module) -> nn.Module:
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES)]
    return nn.Sequential(nn.Conv2d(3, 4, 3), activation, *pool)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (small(nn.SiLU()), r"\w+ is for nets of ReLUs, this one has silu; take gradient$"),
        (small(nn.Hardtanh()), r"\w+ is for nets of ReLUs, this one has hardtanh; take gradient$"),
        (small(nn.Identity()), r"\w+ is for nets of ReLUs, this one has none; take gradient$"),
        (Overwritten(), "its traced copy gives other scores; make its forward free of "),
        (Branching(), "Branching: its forward cannot be traced by torch.fx"),
    ],
)
def test_nets_without_a_rule(net: nn.Module, message: str, pixels: Tensor) -> None:
    for method in ("deconvnet", "guided_backprop"):
        with pytest.raises(UserError, match=f"^model net: {message}") as caught:
            baseline_maps(classifier_of(net.double()), method, pixels, torch.eye(CLASSES))
        assert "\n" not in str(caught.value)
