"""Networks of torchvision and timm with random weights, at small inputs."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import timm
import torch
import torchvision
from torch import Tensor, nn


@dataclass
class Net:
    """Default targets for 14 and 28 with their channels, the input's side, and the library."""

    target: str
    target28: str
    side: int = 64
    library: str = "torchvision"


NETS = {
    "vgg11": Net("features.15", "features.10"),
    "vgg11_bn": Net("features.21", "features.14"),
    "alexnet": Net("features.5", "features.2", side=96),
    "squeezenet1_0": Net("features.11", "features.6"),
    "googlenet": Net("maxpool3", "maxpool2"),
    "inception_v3": Net("Mixed_6e", "maxpool2", side=96),
    "resnet18": Net("layer3", "layer2"),
    "resnet50": Net("layer3", "layer2"),
    "densenet121": Net("features.transition2", "features.transition1"),
    "mobilenet_v2": Net("features.14.conv.0", "features.7.conv.0"),
    "shufflenet_v2_x1_0": Net("stage3", "stage2"),
    "mnasnet1_0": Net("layers.12.0.layers.2", "layers.10.0.layers.2"),
    "efficientnet_lite0": Net("blocks.5.0.bn1", "blocks.3.0.bn1", library="timm"),
    "tf_efficientnet_lite0": Net("blocks.5.0.bn1", "blocks.3.0.bn1", library="timm"),
}


@functools.lru_cache(maxsize=1)
def make_net(name: str, library: str = "") -> nn.Module:
    """Float32 random weights, and batch norms with statistics and scales (all positive)."""
    torch.manual_seed(0)
    if (library or NETS[name].library) == "timm":
        net = timm.create_model(name, pretrained=False)
    elif name in ("googlenet", "inception_v3"):
        maker = getattr(torchvision.models, name)
        net = maker(weights=None, init_weights=False, aux_logits=name == "inception_v3")
    else:
        net = getattr(torchvision.models, name)(weights=None)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return net.eval()


def image_for(name: str) -> Tensor:
    """A float32 image, wider than high."""
    torch.manual_seed(100)
    side = NETS[name].side
    return torch.randn(1, 3, side, side + 32)
