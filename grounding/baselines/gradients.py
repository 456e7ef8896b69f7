"""Maps from gradients, by Captum: Grad-CAM, gradient, deconvnet and guided backprop."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from data_prep.errors import UserError
from grounding.baselines.cam import last_layer
from grounding.baselines.plain_net import layers, plain_net
from grounding.classifier import TagClassifier

# Of the map's longer side; Zhang et al. (2018) and Fong et al. (2019) blur the maps of gradient
# methods so in the pointing game.
BLUR = 0.02

# Deconvnet and guided backprop have rules for ReLUs only.
_OTHER_ACTIVATIONS = {
    *("celu", "elu", "gelu", "hardswish", "hardtanh", "leakyrelu", "leaky_relu", "mish", "prelu"),
    *("rrelu", "selu", "silu", "softplus", "swish", "threshold"),
}


class _Score(nn.Module):
    """A word's score, (N, 3, H, W) → (N,): the logits weighted by its prior (M,)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor, prior: Tensor) -> Tensor:
        scores: Tensor = self.net(pixels) @ prior
        return scores


def grad_cam_maps(classifier: TagClassifier, pixels: Tensor, priors: Tensor) -> Tensor:
    """Grad-CAM (K, h, w) on the grid of the last convolution; see `baseline_maps`."""
    layer = last_layer(classifier, pixels)
    explain = _captum("grad_cam").LayerGradCam(_Score(classifier.model), layer)
    return _explained(explain, pixels.detach(), priors, relu_attributions=True).amax(1)


def gradient_maps(classifier: TagClassifier, pixels: Tensor, priors: Tensor) -> Tensor:
    """The largest |∂score/∂pixel| over the channels, blurred; see `baseline_maps`."""
    explain = _captum("gradient").Saliency(_Score(classifier.model))
    return _of_pixels(explain, pixels, priors)


def deconvnet_maps(classifier: TagClassifier, pixels: Tensor, priors: Tensor) -> Tensor:
    """As the gradient, but a ReLU passes down what is positive of it, whatever its input was."""
    net = _relu_net(classifier, pixels, "deconvnet")
    return _of_pixels(_captum("deconvnet").Deconvolution(net), pixels, priors)


def guided_backprop_maps(classifier: TagClassifier, pixels: Tensor, priors: Tensor) -> Tensor:
    """As the gradient, but a ReLU passes down only what is positive of it."""
    net = _relu_net(classifier, pixels, "guided_backprop")
    return _of_pixels(_captum("guided_backprop").GuidedBackprop(net), pixels, priors)


def _relu_net(classifier: TagClassifier, pixels: Tensor, method: str) -> _Score:
    """Score of the copy whose ReLUs Captum finds."""
    net = plain_net(classifier, pixels)
    others = sorted({name for name, _ in layers(net)} & _OTHER_ACTIVATIONS)
    if others or not any(isinstance(module, nn.ReLU) for _, module in layers(net)):
        raise UserError(
            f"model {classifier.name}: {method} is for nets of ReLUs, this one has "
            f"{' and '.join(others) or 'none'}; take gradient"
        )
    return _Score(net)


def _captum(method: str) -> ModuleType:
    try:
        from captum import attr
    except ImportError as error:
        raise UserError(f"method {method} needs Captum; pip install 'tag2box[peers]'") from error
    return attr


def _of_pixels(explain: Any, pixels: Tensor, priors: Tensor) -> Tensor:
    # A view of its own: Captum asks it for gradients, and not the caller's tensor.
    own = pixels.detach().requires_grad_()
    return blurred(_explained(explain, own, priors).abs().amax(1))


def _explained(explain: Any, pixels: Tensor, priors: Tensor, **options: bool) -> Tensor:
    """Attributions (K, C, h, w) of the words' scores."""
    found = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
        for prior in priors:
            found.append(explain.attribute(pixels, additional_forward_args=prior, **options))
    return torch.cat(found).detach()


def blurred(maps: Tensor) -> Tensor:
    """Blur maps (K, h, w) by a Gaussian of `BLUR` times their longer side, cut off at 4 of it."""
    height, width = maps.shape[1:]
    sigma = BLUR * max(height, width)
    # The mirrored border allows no more than the side.
    across, down = (2 * min(round(4 * sigma), side - 1) + 1 for side in (width, height))
    # One after the other is the same, and many times as fast.
    return gaussian_blur(gaussian_blur(maps, [across, 1], [sigma]), [1, down], [sigma])
