"""Backbones under a fresh linear head: the nets that are trained on tags."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import SqueezeNet

from data_prep.errors import UserError
from grounding.models import build, fit, read_weights
from grounding.preprocessing import Preprocessing

RANDOM = "random"
HEAD_STD = 0.01  # of the fresh head's weights: every tag begins near what its bias says


def tag_net(
    name: str, classes: int, weights: str | Path | None = None
) -> tuple[nn.Module, Preprocessing, str]:
    """Build a backbone with a fresh linear head.

    The head's weights are small, normal and drawn from torch's global generator, its bias is 0.
    Without auxiliary classifiers the model gives one tensor in training, too.

    Parameters
    ----------
    name : str
        See `grounding.models.load_model`.
    classes : int
        Outputs of the head.
    weights : str, Path or None
        Of the backbone: None for the library's, "random" for none, or a state dict's file, whose
        head is not read and may have any number of classes.

    Returns
    -------
    model : nn.Module
        (N, 3, H, W) → logits (N, classes); in eval mode, on the CPU.
    preprocessing : Preprocessing
        The library's for its default weights of this model.
    full_name : str
        "library:NAME".

    Raises
    ------
    UserError
        As `load_model`, or the net has no linear head.
    """
    model, preprocessing, full_name = build(name, None, weights is None)
    old_head = _replace_head(model, name, classes)
    if weights not in (None, RANDOM):
        head = head_of(model)[0]
        dropped = tuple(f"{each}." for each in (old_head, head))
        state = model.state_dict()
        tensors = read_weights(weights)
        tensors = {k: v for k, v in tensors.items() if not k.startswith(dropped)}
        tensors |= {k: v for k, v in state.items() if k.startswith(f"{head}.")}
        fit(model, tensors, f"{weights}: does not fit {name}")
    return model.eval(), preprocessing, full_name


def head_of(model: nn.Module) -> tuple[str, nn.Linear]:
    """Give the last layer of a net of `tag_net`: its module path and itself.

    Raises
    ------
    UserError
        It is no linear layer.
    """
    linears = [(name, each) for name, each in model.named_modules() if isinstance(each, nn.Linear)]
    known = getattr(model, "get_classifier", None)  # timm's nets know theirs
    if callable(known):
        linears = [(name, each) for name, each in linears if each is known()]
    if not linears:
        raise UserError(
            f"{type(model).__name__} has no linear layer as its head; give another model"
        )
    return linears[-1]


def pooled_features(model: nn.Module, batch: Tensor) -> Tensor:
    """Give the input (N, F) of a net's head for a batch (N, 3, H, W), in the net's mode."""
    inputs: list[Tensor] = []
    hook = head_of(model)[1].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    try:
        model(batch)
    finally:
        hook.remove()
    return inputs[0]


def check_nonnegative(model: nn.Module, name: str, size: int) -> None:
    """Refuse a net whose head can get negative features: c-MWP needs winners with a share ≥ 0.

    Decided by noise and plain colours of `size` × `size` pixels; leaves the net as it was.

    Raises
    ------
    UserError
        A feature was negative.
    """
    where = head_of(model)[1].weight
    noise = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    plain = torch.tensor([-2.0, 0.0, 2.0]).view(3, 1, 1, 1).expand(3, 3, size, size)
    modes = {module: module.training for module in model.modules()}
    model.eval()  # the statistics of batch norm stay what they are
    try:
        with torch.no_grad():
            features = pooled_features(model, torch.cat([noise, plain]).to(where))
    finally:
        for module, mode in modes.items():
            module.training = mode
    if features.min() < 0:
        raise UserError(
            f"model {name}: the features under its head can be negative, and c-MWP needs them ≥ 0; "
            "give a net that ends in ReLU: efficientnet_lite0, resnet50, googlenet, vgg16, "
            "squeezenet1_1, …"
        )


def _replace_head(model: nn.Module, name: str, classes: int) -> str:
    """Put a fresh head in the place of the old one; give the module path of the latter.

    SqueezeNet scores every position, clips the scores at 0 and pools last. Pooling first is the
    same for a linear head, and the logits must not be clipped.
    """
    if isinstance(model, SqueezeNet):
        dropout, old, *_ = model.classifier
        head = nn.Linear(old.in_channels, classes)
        model.classifier = nn.Sequential(dropout, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
        path = "classifier.1"
    else:
        try:
            path, linear = head_of(model)
        except UserError as error:
            raise UserError(f"model {name}: {error}") from error
        head = nn.Linear(linear.in_features, classes)
        model.set_submodule(path, head)
    nn.init.normal_(head.weight, std=HEAD_STD)
    nn.init.zeros_(head.bias)
    return path
