"""Attention maps by other methods, to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor

from grounding.baselines.cam import cam_maps
from grounding.baselines.gradients import (
    deconvnet_maps,
    grad_cam_maps,
    gradient_maps,
    guided_backprop_maps,
)
from grounding.baselines.lrp import lrp_maps
from grounding.classifier import TagClassifier

BaselineMethod = Literal["cam", "grad_cam", "gradient", "deconvnet", "guided_backprop", "lrp"]

_MAPS: dict[str, Callable[[TagClassifier, Tensor, Tensor], Tensor]] = {
    "cam": cam_maps,
    "grad_cam": grad_cam_maps,
    "gradient": gradient_maps,
    "deconvnet": deconvnet_maps,
    "guided_backprop": guided_backprop_maps,
    "lrp": lrp_maps,
}


def baseline_maps(
    classifier: TagClassifier, method: BaselineMethod, pixels: Tensor, priors: Tensor
) -> Tensor:
    """Make the maps of words in a photo by a method other than ours.

    "cam": class activation maps (Zhou et al. 2016), the head's weights times the last
    convolution's features; the photo is classified once for all words. "grad_cam": Grad-CAM
    (Selvaraju et al. 2017) of the same features, by Captum; on a net with a linear head under
    global average pooling it is CAM at another scale. Both are cut off at 0 as Selvaraju et al.
    do; Zhou et al. do not, but a maximum above 0 stays the same.

    "gradient": ∂score/∂pixel (Simonyan et al. 2014). "deconvnet" (Zeiler and Fergus 2014): the
    same, but a ReLU passes on the positive part of what comes from above, whatever its input was.
    "guided_backprop" (Springenberg et al. 2015): it passes that on only where its input was
    positive. A ReLU6 is a ReLU whose derivative is 0 at 6 as well. All three by Captum, a word
    after the other; the map is the largest absolute value over the channels, as Simonyan et al.
    have it for the gradient, blurred by a Gaussian of 0.02 times the longer side (Zhang et al.
    2018; Fong et al. 2019). No other map is blurred.

    "lrp": layer-wise relevance propagation (Bach et al. 2015) by zennit, in its composite
    EpsilonPlusFlat (Lapuschkin et al. 2019; Kohlbrenner et al. 2020) with batch norms folded into
    convolutions. It starts with the score itself; the map is the relevance summed over the
    channels, cut off at 0.

    Parameters
    ----------
    classifier : TagClassifier
        Left as it is, also on failure.
    method : {"cam", "grad_cam", "gradient", "deconvnet", "guided_backprop", "lrp"}
    pixels : Tensor (1, 3, H, W)
        Of `TagClassifier.preprocess`, on the classifier's device.
    priors : Tensor (K, M)
        One or more words, each as a prior over the classes; a word's score is the sum of the
        logits weighted so.

    Returns
    -------
    Tensor (K, h, w) float32
        ≥ 0; of "cam" and "grad_cam" on the grid of the last convolution, else at the size of the
        pixels.

    Raises
    ------
    UserError
        Captum or zennit is missing; the net has no convolution with a grid; of "cam", it has no
        linear head under global average pooling; of "deconvnet", "guided_backprop" and "lrp", it
        has an operation without a rule or cannot be traced by torch.fx.
    ValueError
        The method is none of these.
    """
    if method not in _MAPS:
        raise ValueError(f"method {method!r}: choose from {', '.join(get_args(BaselineMethod))}")
    return _MAPS[method](classifier, pixels, priors.to(pixels)).float()
