"""LRP against the rules by hand, zennit's own canonizer, and what must be conserved."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from zennit.composites import EpsilonPlusFlat
from zennit.torchvision import ResNetCanonizer

from data_prep.errors import UserError
from grounding.baselines import baseline_maps
from tests.grounding.baselines.nets import CLASSES, Flat, classifier_of


class Small(nn.Module):
    """Two convolutions, the second with batch norm, a head under global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 5, 2)
        self.norm, self.head = nn.BatchNorm2d(5), nn.Linear(5, CLASSES)
        nn.init.normal_(self.norm.running_mean)  # type: ignore[arg-type]
        nn.init.uniform_(self.norm.running_var, 0.5, 2)  # type: ignore[arg-type]
        nn.init.normal_(self.norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.second(self.first(x).relu())))
        return self.head(x.mean((2, 3)))


@torch.no_grad()
def by_hand(net: Small, pixels: Tensor, prior: Tensor) -> Tensor:
    """Relevance (H, W) of the pixels: ε in the head, z⁺ in the second layer, flat in the first."""
    low = net.first(pixels)[0].relu()  # (4, h, w)
    top = net.norm(net.second(low[None]))[0].relu()
    means = top.mean((1, 2))
    # ε: each class's score, divided among its terms a·w, of which the bias is one.
    relevance = prior @ (net.head.weight * means)
    of_top = relevance[:, None, None] * top / top.sum((1, 2), keepdim=True).clamp(min=1e-99)
    scale = net.norm.weight / torch.sqrt(net.norm.running_var + net.norm.eps)  # type: ignore[arg-type, operator]
    weight = net.second.weight * scale[:, None, None, None]
    bias = (net.second.bias - net.norm.running_mean) * scale + net.norm.bias  # type: ignore[operator]
    of_low = torch.zeros_like(low)
    for f in range(5):
        for y in range(top.shape[1]):
            for x in range(top.shape[2]):
                parts = low[:, y : y + 2, x : x + 2] * weight[f].clamp(min=0)
                total = parts.sum() + bias[f].clamp(min=0)
                if of_top[f, y, x] != 0:
                    of_low[:, y : y + 2, x : x + 2] += of_top[f, y, x] * parts / total
    found = torch.zeros_like(pixels[0, 0])
    for y in range(low.shape[1]):
        for x in range(low.shape[2]):
            found[2 * y : 2 * y + 3, 2 * x : 2 * x + 3] += of_low[:, y, x].sum() / 9
    return found.clamp(min=0)


def test_rules_by_hand(pixels: Tensor, priors: Tensor) -> None:
    net = Small().double().eval()
    found = baseline_maps(classifier_of(net), "lrp", pixels, priors)
    assert found.shape == (3, 13, 17)
    assert (found > 0).any()
    for one, prior in zip(found, priors, strict=True):
        # The rules keep their denominators from 0 by 1e-6.
        expected = by_hand(net, pixels, prior).float()
        torch.testing.assert_close(one, expected, rtol=1e-3, atol=1e-5)


class WithoutBias(nn.Module):
    """A residual sum in place, branches side by side, maximum and mean pooling; no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.left = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.right = nn.Conv2d(4, 4, 1, bias=False)
        self.last = nn.Conv2d(8, 6, 3, bias=False)
        self.act, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
        self.head = nn.Linear(6, CLASSES, bias=False)
        nn.init.uniform_(self.head.weight)  # no relevance below 0, of which a map shows none

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        left = nn.functional.relu6(self.left(x))
        left += x
        x = torch.cat([left, self.act(self.right(x))], 1)
        x = self.act(self.last(nn.functional.avg_pool2d(self.pool(x), 2)))
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


def test_relevance_is_conserved(priors: Tensor) -> None:
    """All of a score arrives at the pixels: 16 × 24, which the pools divide."""
    net = WithoutBias().double()
    pixels = torch.randn(1, 3, 16, 24, dtype=torch.float64)
    found = baseline_maps(classifier_of(net), "lrp", pixels, priors)
    scores = priors @ net(pixels)[0].detach()
    assert (scores > 0.05).all()
    torch.testing.assert_close(found.sum((1, 2)), scores.float(), rtol=1e-3, atol=0)


def test_residual_net_as_zennit_treats_it() -> None:
    net = resnet18(num_classes=CLASSES).double().eval()
    pixels = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    prior = torch.eye(CLASSES, dtype=torch.float64)[2:3]
    found = baseline_maps(classifier_of(net), "lrp", pixels, prior)
    given = pixels.clone().requires_grad_()
    with EpsilonPlusFlat(canonizers=[ResNetCanonizer()]).context(net) as hooked:
        scores = hooked(given)
        (relevance,) = torch.autograd.grad(scores, given, prior * scores.detach())
    torch.testing.assert_close(found, relevance.sum(1).clamp(min=0).float())
    assert (found > 0).any()


def test_an_operation_without_a_rule(pixels: Tensor, priors: Tensor) -> None:
    with pytest.raises(UserError, match=r"^model net: lrp has no rule for tanh; leave lrp out$"):
        baseline_maps(classifier_of(Flat().double()), "lrp", pixels, priors)
