"""Equality with TorchRay's contrastive excitation backprop in float64, where it is installed."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from grounding.excitation import ExcitationBackprop
from tests.grounding.excitation.whole_nets import make_net

peer = pytest.importorskip("torchray.attribution.excitation_backprop")

# network, target, the classifier's input and the classifier, input's side
CASES = [
    ("googlenet", "maxpool3", "avgpool", "fc", 224),
    ("googlenet", "inception4c", "avgpool", "fc", 64),
    ("alexnet", "features.5", "classifier.5", "classifier.6", 96),
    ("vgg11", "features.15", "classifier.4", "classifier.6", 64),
    ("resnet50", "layer2", "avgpool", "fc", 64),
]


@pytest.mark.parametrize(("name", "target", "contrast", "classifier", "side"), CASES)
def test_equals_torchray(name: str, target: str, contrast: str, classifier: str, side: int) -> None:
    """Batch norm scales are positive: TorchRay passes excitation through negative ones."""
    net: nn.Module = make_net(name).double()
    try:
        torch.manual_seed(5)
        x = torch.randn(1, 3, side, side, dtype=torch.float64)
        state = ExcitationBackprop(net, target, residual="signed")(x)
        if name == "resnet50":
            net = updated(net)
        for word in (3, 700):
            theirs = peer.contrastive_excitation_backprop(
                net, x, word, saliency_layer=target, contrast_layer=contrast,
                classifier_layer=classifier,
            )[0, 0]  # fmt: skip
            check_equal(state.cmwp([word])[0, 0], theirs)
            theirs = peer.excitation_backprop(net, x, word, saliency_layer=target)[0, 0]
            check_equal(state.mwp([word])[0, 0], theirs)
    finally:
        make_net.cache_clear()


def updated(net: nn.Module) -> nn.Module:
    """A copy with TorchRay's own residual sums."""
    other = torchvision.models.resnet50(weights=None).double().eval()
    other.load_state_dict(net.state_dict())
    found: nn.Module = peer.update_resnet(other)
    return found


def check_equal(ours: Tensor, theirs: Tensor) -> None:
    assert float(theirs.abs().max()) > 0
    error = (ours - theirs).abs().max() / theirs.abs().max()
    assert float(error) <= 1e-10
