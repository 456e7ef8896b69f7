"""Layer-wise relevance propagation (LRP), by zennit."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

from data_prep.errors import UserError
from grounding.baselines.plain_net import Sum, layers, plain_net
from grounding.classifier import TagClassifier

# What has a rule in zennit's composite, and what relevance passes as a gradient does: views,
# joins, the winner of a maximum.
_RULED = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.ReLU, nn.AvgPool2d, nn.AdaptiveAvgPool2d, Sum)
_PASSED = {
    *("cat", "chunk", "clone", "concat", "contiguous", "flatten", "floordiv", "getattr"),
    *(
        "getitem",
        "max_pool2d",
        "maxpool2d",
        "reshape",
        "size",
        "split",
        "squeeze",
        "stack",
        "unflatten",
    ),
    *("transpose", "unsqueeze", "view"),
}


def lrp_maps(classifier: TagClassifier, pixels: Tensor, priors: Tensor) -> Tensor:
    """Relevance (K, H, W) of the pixels, summed over the channels, its positive part.

    By zennit's composite EpsilonPlusFlat: the ε-rule in linear layers, z⁺ in convolutions, flat in
    the first layer; see `baseline_maps`.
    """
    try:
        from zennit.composites import EpsilonPlusFlat
        from zennit.rules import Norm
    except ImportError as error:
        raise UserError("method lrp needs zennit; pip install 'tag2box[peers]'") from error
    net = _ruled(classifier, plain_net(classifier, pixels))
    own = pixels.detach().requires_grad_()
    found: list[Tensor] = []
    with torch.enable_grad(), EpsilonPlusFlat(layer_map=[(Sum, Norm())]).context(net):
        logits = net(own)  # once for all words
        for prior in priors:
            start = prior * logits.detach()  # the relevance of a class is its score
            found += torch.autograd.grad(logits, own, start, retain_graph=True)
    return torch.cat(found).sum(1).clamp(min=0)


def _ruled(classifier: TagClassifier, net: fx.GraphModule) -> fx.GraphModule:
    """Give the net if there are rules for all that it does."""
    for name, module in layers(net):
        if not isinstance(module, _RULED) and name not in _PASSED:
            raise UserError(f"model {classifier.name}: lrp has no rule for {name}; leave lrp out")
    return net
