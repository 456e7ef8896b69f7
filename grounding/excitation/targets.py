"""Which layer's attention is given: by name, or by the size of its grid."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from torch import fx

from .build import Builder, Step
from .operations import AveragePool, MaxPool
from .trace import UnsupportedOperation


def find_layer(target: str, builder: Builder) -> fx.Node:
    """The node that a module path ends in."""
    node = builder.node_of(target)
    if node is None:
        near = difflib.get_close_matches(target, builder.ends, n=3, cutoff=0.3)
        raise UnsupportedOperation(
            f"no layer {target!r} in the model; "
            f"did you mean {', '.join(near) or 'one of named_modules()'}?"
        )
    return node


def nearest_grid(
    steps: Sequence[Step], output: Step, grids: Mapping[Step, int], resolution: int
) -> Step:
    """The layer whose grid, given for each step, is nearest to `resolution` squared.

    Only layers that all signal passes are candidates; of these the first pooling layer (pool4 of
    VGG16, pool3 of GoogLeNet, as in the paper), else the last layer of that grid (layer3 of a
    ResNet).
    """
    cuts = [step for step in _cuts(steps, output) if grids.get(step, 1) > 1]
    if not cuts:
        raise UnsupportedOperation("no layer has a grid that all signal passes; name a target")
    nearest = min((grids[step] for step in cuts), key=lambda grid: abs(grid - resolution))
    layers = [step for step in cuts if grids[step] == nearest]
    pools = [step for step in layers if isinstance(step.operation, MaxPool | AveragePool)]
    return pools[0] if pools else layers[-1]


def _cuts(steps: Sequence[Step], output: Step) -> list[Step]:
    """Steps that no connection jumps over: all signal passes each of them."""
    order = {step: i for i, step in enumerate(step for step in steps if not step.scalar)}
    furthest, cuts = 0, []
    for step, i in order.items():
        if furthest <= i and step is not output:
            cuts.append(step)
        ends = [order[user] for user in order if step in user.inputs]
        furthest = max([furthest, *ends])
    return cuts
