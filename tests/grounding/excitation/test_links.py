"""Down and up are exact transposes of each other, for every kind of link."""

from __future__ import annotations

import inspect
import itertools

import pytest
import torch
from torch import Tensor, nn

from grounding.excitation import links
from grounding.excitation.layers import ConvLayer, LinearLayer
from grounding.excitation.links import Link, scale, share
from grounding.excitation.operations import Add, Affine, Concat, Elementwise, Operation
from grounding.excitation.recognise import module_operation

WORDS = 3


def operation(module: nn.Module) -> Operation:
    found = module_operation(module.double().eval())
    assert isinstance(found, Operation)
    return found


def pointwise_pair() -> Affine:
    """A composed bottleneck: two sources, the first through a strided 3x3 layer."""
    joint = Affine(ConvLayer.of(nn.Conv2d(4, 5, 1).double()))
    joint.paths = [
        ConvLayer.of(nn.Conv2d(4, 5, 3, 2, 1).double()).excitatory(),
        ConvLayer.of(nn.Conv2d(3, 5, 1).double()).excitatory(),
    ]
    return joint


CASES: dict[str, tuple[Operation, list[tuple[int, ...]]]] = {
    "conv": (operation(nn.Conv2d(4, 6, 3, 2, 1, groups=2)), [(4, 5, 7)]),
    "dilated": (operation(nn.Conv2d(4, 6, 3, 1, 2, dilation=2)), [(4, 5, 7)]),
    "pointwise": (operation(nn.Conv2d(4, 6, 1)), [(4, 5, 7)]),
    "same": (operation(nn.Conv2d(4, 6, (2, 4), padding="same")), [(4, 5, 7)]),
    "linear": (operation(nn.Linear(6, 4)), [(6,)]),
    "max pool": (operation(nn.MaxPool2d(3, 2, 1, ceil_mode=True)), [(2, 6, 7)]),
    "average pool": (operation(nn.AvgPool2d(3, 2, 1)), [(2, 6, 7)]),
    "adaptive pool": (operation(nn.AdaptiveAvgPool2d((2, 3))), [(2, 5, 7)]),
    "global mean": (operation(nn.AdaptiveAvgPool2d(1)), [(3, 5, 4)]),
    "flatten": (operation(nn.Flatten()), [(3, 2, 4)]),
    "pad": (operation(nn.ZeroPad2d((1, 2, 0, 1))), [(3, 2, 4)]),
    "channel shuffle": (operation(nn.ChannelShuffle(3)), [(6, 2, 4)]),
    "batch norm": (operation(nn.BatchNorm2d(3)), [(3, 2, 4)]),
    "normalisation": (operation(nn.LocalResponseNorm(2)), [(3, 2, 4)]),
    "sigmoid": (Elementwise(torch.sigmoid, 0), [(3, 2, 4)]),
    "concat": (Concat(1), [(3, 2, 4), (1, 2, 4), (2, 2, 4)]),
    "rows": (Concat(-2), [(3, 2, 4), (3, 5, 4)]),
    "add": (Add(), [(3, 2, 4), (3, 2, 4), (3, 2, 4)]),
    "affine of two": (pointwise_pair(), [(4, 6, 4), (3, 3, 2)]),
}


def connected(case: str, images: int) -> tuple[Link, list[Tensor], Tensor]:
    torch.manual_seed(1)
    operation, shapes = CASES[case]
    inputs = [torch.rand(images, *shape, dtype=torch.float64) for shape in shapes]
    if case == "affine of two":  # its value comes from a layer of its own
        values = [torch.rand(images, 4, 3, 2, dtype=torch.float64)]
        _, excited, link = operation.connect(values, inputs)
    else:
        _, excited, link = operation.connect(inputs, inputs)
    return link, inputs, excited


def words_of(example: Tensor) -> Tensor:
    return torch.randn(len(example) * WORDS, *example.shape[1:], dtype=torch.float64)


def test_every_link_class_is_tried() -> None:
    classes = {
        kind
        for _, kind in inspect.getmembers(links, inspect.isclass)
        if issubclass(kind, Link) and kind is not Link
    }
    assert classes == {type(connected(case, 1)[0]) for case in CASES}


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_adjoint_identity(case: str, images: int) -> None:
    """<down(z), v> = <z, up(v)>, also where some inputs are reached by nothing."""
    link, inputs, excited = connected(case, images)
    z = words_of(excited)
    questions = [words_of(x) for x in inputs]
    down = link.down(z)
    assert [part.shape for part in down] == [v.shape for v in questions]
    for reached in itertools.product([True, False], repeat=len(inputs)):
        if not any(reached):
            continue
        vs = [v if asked else None for v, asked in zip(questions, reached, strict=True)]
        left = sum(
            float((part * v).sum()) for part, v in zip(down, vs, strict=True) if v is not None
        )
        up = link.up(vs)
        assert up.shape == z.shape
        assert left == pytest.approx(float((z * up).sum()), abs=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_down_is_linear_and_leaves_its_argument_alone(case: str) -> None:
    link, _, excited = connected(case, 2)
    a, b = words_of(excited), words_of(excited)
    before = a.clone()
    both = link.down(2 * a - 3 * b)
    parts = zip(both, link.down(a), link.down(b), strict=True)
    for found, x, y in parts:
        torch.testing.assert_close(found, 2 * x - 3 * y, rtol=0, atol=1e-10)
    assert torch.equal(a, before)


@pytest.mark.parametrize("case", CASES)
def test_down_onto_adds_to_what_arrived_before(case: str) -> None:
    link, inputs, excited = connected(case, 2)
    z = words_of(excited)
    for layout in (torch.contiguous_format, torch.channels_last):
        arrived = [words_of(x) for x in inputs]
        expected = [s + p for s, p in zip(arrived, link.down(z), strict=True)]
        sums = [s.contiguous(memory_format=layout) if s.ndim == 4 else s for s in arrived]
        found, _ = link.down_onto(z, sums)
        for f, e in zip(found, expected, strict=True):
            torch.testing.assert_close(f, e, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_several_images_are_several_single_ones(case: str) -> None:
    """The batch axis is images times words, image-major."""
    link, inputs, excited = connected(case, 2)
    z = words_of(excited)
    together = link.down(z)
    for n in range(2):
        values = [x[n : n + 1] for x in inputs]
        if case == "affine of two":
            torch.manual_seed(1)
            torch.rand(2, 4, 6, 4, dtype=torch.float64), torch.rand(2, 3, 3, 2, dtype=torch.float64)
            value = torch.rand(2, 4, 3, 2, dtype=torch.float64)[n : n + 1]
            _, _, single = CASES[case][0].connect([value], values)
        else:
            _, _, single = CASES[case][0].connect(values, values)
        rows = slice(n * WORDS, (n + 1) * WORDS)
        for found, alone in zip(together, single.down(z[rows]), strict=True):
            torch.testing.assert_close(found[rows], alone, rtol=0, atol=1e-12)


def test_share_of_nothing_is_nothing() -> None:
    a = torch.tensor([0.0, 1.0, 1.0, 0.0, 1e-30, 3.0])
    b = torch.tensor([0.0, 0.0, 1e-45, 1.0, 1e-30, 2.0])
    assert share(a, b).tolist() == [0, 0, 0, 0, 1, 1.5]


def test_factors_belong_to_their_images() -> None:
    signal, factor = torch.ones(6, 2), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = [[1.0, 2.0]] * 3 + [[3.0, 4.0]] * 3
    assert scale(signal, factor).tolist() == expected


def test_inhibitory_is_the_excitatory_of_minus_w() -> None:
    layer = LinearLayer(torch.randn(3, 4))
    assert torch.equal(layer.inhibitory().weight, (-layer.weight).clamp(min=0))
    assert torch.equal(layer.excitatory().weight - layer.inhibitory().weight, layer.weight)
