"""The copy that methods put hooks on: of the model as it is now, whatever its forms of ReLU."""

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from grounding.baselines import BaselineMethod, baseline_maps
from grounding.baselines.plain_net import layers, plain_net
from tests.grounding.baselines.nets import CLASSES, Net, classifier_of

METHODS: tuple[BaselineMethod, ...] = get_args(BaselineMethod)


class Normed(Net):
    """A batch norm, which the copy folds into the convolution."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(4)
        nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]
        self.features = nn.Sequential(self.second, norm, nn.ReLU())


def loaded(net: Net) -> None:
    net.load_state_dict(Normed().state_dict())


def trained(net: Net) -> None:
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    scores = net(torch.randn(2, 3, 13, 17, dtype=torch.float64))
    functional.cross_entropy(scores, torch.tensor([0, 1])).backward()
    optimizer.step()


def counted(net: Net) -> None:
    """Only the buffers change."""
    net.train()(torch.randn(2, 3, 13, 17, dtype=torch.float64))
    net.eval()


def with_another_head(net: Net) -> None:
    net.head = nn.Linear(4, CLASSES).double()


def with_another_trunk(net: Net) -> None:
    net.features = nn.Sequential(nn.Conv2d(6, 4, 1), nn.ReLU()).double()


def without_its_relu(net: Net) -> None:
    """Modules change, and no weight."""
    net.features[2] = nn.Identity()


CHANGES = [loaded, trained, counted, with_another_head, with_another_trunk, without_its_relu]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_is_asked_as_it_is(
    change: Callable[[Net], None], method: BaselineMethod, pixels: Tensor, priors: Tensor
) -> None:
    net = Normed().double()
    classifier = classifier_of(net)
    before = baseline_maps(classifier, method, pixels, priors)
    change(net)
    after = baseline_maps(classifier, method, pixels, priors)
    fresh = Normed().double()
    fresh.head, fresh.first, fresh.features = net.head, net.first, net.features
    torch.testing.assert_close(after, baseline_maps(classifier_of(fresh), method, pixels, priors))
    assert after.shape != before.shape or not torch.allclose(after, before, rtol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_a_moved_model_is_asked_where_it_is(
    method: BaselineMethod, pixels: Tensor, priors: Tensor
) -> None:
    """To another dtype, as to another device."""
    classifier = classifier_of(Normed())
    single = baseline_maps(classifier, method, pixels.float(), priors)
    classifier.model.double()
    double = baseline_maps(classifier, method, pixels, priors)
    torch.testing.assert_close(double, single, rtol=1e-3, atol=1e-5)


def test_the_copy_is_made_once(pixels: Tensor) -> None:
    classifier = classifier_of(Normed().double())
    copy = plain_net(classifier, pixels)
    assert plain_net(classifier, pixels + 1) is copy


class Positional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(9 * self.first(x), True)
        x = functional.relu6(x, True)
        return self.head(x.mean((2, 3)))


class Named(Positional):
    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(functional.relu(9 * self.first(x)))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("method", ["deconvnet", "guided_backprop"])
def test_in_place_by_position(method: BaselineMethod, pixels: Tensor, priors: Tensor) -> None:
    net, other = Positional().double(), Named().double()
    other.load_state_dict(net.state_dict())
    found = layers(plain_net(classifier_of(net), pixels))
    assert [name for name, _ in found if "relu" in name] == ["relu", "relu6"]
    torch.testing.assert_close(
        baseline_maps(classifier_of(net), method, pixels, priors),
        baseline_maps(classifier_of(other), method, pixels, priors),
    )
