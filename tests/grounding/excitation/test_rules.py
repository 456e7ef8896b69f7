"""Every rule against the literal matrix formula in float64, over the settings of its layer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from timm.layers import create_conv2d
from torch import Tensor, nn

from grounding.excitation.operations import Activated, Activation, Operation
from grounding.excitation.recognise import module_operation
from tests.oracles.dense import dense_matrix, excitation_rule, max_pool_matrix

WORDS = 2


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def operation_of(module: nn.Module, activation: nn.Module | None = None) -> Operation:
    operation = module_operation(module.double().eval())
    assert isinstance(operation, Operation)
    if activation is not None:
        found = module_operation(activation)
        assert isinstance(found, Activation)
        assert isinstance(operation, Activated)
        operation.activation = found
    return operation


def pass_down(
    operation: Operation, A: Tensor, P: Tensor, value: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The engine's ``P_in`` (N, K, ...) of signals P, and the excitation of the output."""
    with torch.no_grad():
        _, excited, link = operation.connect([A if value is None else value], [A])
    z = torch.where(excited.unsqueeze(1) > 0, P / excited.unsqueeze(1), 0).flatten(0, 1)
    (z_in,) = link.down(z)
    return z_in.unflatten(0, P.shape[:2]) * A.unsqueeze(1), excited


def check_affine(
    module: nn.Module, shape: Sequence[int], activation: nn.Module | None = None, images: int = 2
) -> None:
    """P_in of random P (zero where the output is dead) against the rule on the dense matrix."""
    operation = operation_of(module, activation)
    A = torch.rand(images, *shape, dtype=torch.float64)
    A[A < 0.3] = 0  # dead units, as after a ReLU
    with torch.no_grad():
        x = module(A)
        value, excited, _ = operation.connect([A], [A])
    expected_value = x if activation is None else activation(x.clone())
    torch.testing.assert_close(value, expected_value, rtol=1e-12, atol=1e-12)
    P = torch.rand(images, WORDS, *x.shape[1:], dtype=torch.float64)
    P = P * (excited.unsqueeze(1) > 0)
    found, _ = pass_down(operation, A, P)
    W = dense_matrix(module, shape)
    for n, k in itertools.product(range(images), range(WORDS)):
        expected = excitation_rule(W, A[n].flatten(), P[n, k].flatten())
        torch.testing.assert_close(found[n, k].flatten(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [1, 3, (2, 3)])
@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
@pytest.mark.parametrize("padding", [0, 1, (0, 1)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution(
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
    dilation: int,
    groups: int,
) -> None:
    layer = nn.Conv2d(4, 6, kernel, stride, padding, dilation, groups)
    check_affine(layer, (4, 6, 7), nn.ReLU())


@pytest.mark.parametrize("size", [(5, 8), (6, 7)])
@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_padding_of_torch(size: tuple[int, int], kernel: int, dilation: int) -> None:
    """Also where it is not symmetric: an even kernel's last row is the longer margin."""
    layer = nn.Conv2d(2, 3, kernel, padding="same", dilation=dilation)
    check_affine(layer, (2, *size), nn.ReLU())


def test_valid_padding_of_torch() -> None:
    check_affine(nn.Conv2d(2, 3, 3, padding="valid"), (2, 5, 6), nn.ReLU())


@pytest.mark.parametrize("size", [(5, 8), (6, 7), (2, 2)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("depthwise", [False, True])
def test_tensorflow_padding_of_timm(
    size: tuple[int, int], kernel: int, stride: int, depthwise: bool
) -> None:
    layer = create_conv2d(
        2, 4, kernel, stride=stride, padding="same", depthwise=depthwise, bias=True
    )
    check_affine(layer, (2, *size), nn.ReLU6())


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias: bool) -> None:
    check_affine(nn.Linear(7, 5, bias=bias), (7,), nn.ReLU())


@pytest.mark.parametrize(
    "activation",
    [None, nn.ReLU(), nn.ReLU6(), nn.Sigmoid(), nn.Tanh(), nn.ELU(0.7), nn.SiLU(), nn.SELU(),
     nn.Hardswish(), nn.Hardtanh(-0.5, 0.5), nn.Softplus()],
    ids=lambda a: type(a).__name__,
)  # fmt: skip
def test_activation_functions_leave_the_rule_alone(activation: nn.Module | None) -> None:
    """The bound only moves the zero of the excitation (Eq. 12); shares come from the inputs."""
    check_affine(nn.Conv2d(3, 4, 3, padding=1), (3, 5, 4), activation)


@pytest.mark.parametrize(
    ("activation", "bound"),
    [(nn.ReLU(), 0.0), (nn.ReLU6(), 0.0), (nn.Sigmoid(), 0.0), (nn.Tanh(), -1.0),
     (nn.ELU(0.7), -0.7), (nn.CELU(1.3), -1.3), (nn.Hardtanh(-0.5, 0.5), -0.5),
     (nn.SELU(), -1.7580993408473766), (nn.SiLU(), None), (nn.Hardswish(), None),
     (nn.Mish(), None), (nn.GELU(), None), (nn.GELU("tanh"), None)],
    ids=lambda a: type(a).__name__ if isinstance(a, nn.Module) else "",
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bound_is_the_minimum(
    activation: nn.Module, bound: float | None, dtype: torch.dtype
) -> None:
    """Excitations are values less the minimum of the activation function, and never negative.

    GELU's tanh form falls 7e-5 lower than GELU itself, whose minimum is taken for both.
    """
    operation = operation_of(nn.Linear(1, 1, bias=False), activation)
    layer = operation.layer  # type: ignore[attr-defined]
    layer.weight = torch.ones(1, 1, dtype=dtype)
    grid = torch.linspace(-12, 12, 100_001, dtype=dtype)[:, None]
    lowest = float(activation(grid.double()).min()) if bound is None else bound
    value, excited, _ = operation.connect([grid], [grid.clamp(min=0)])
    assert bool((excited >= 0).all())
    tolerance = 1e-6 if bound is None or dtype == torch.float32 else 1e-12
    tolerance = 1e-4 if getattr(activation, "approximate", "none") == "tanh" else tolerance
    expected = (value - lowest).clamp(min=0)
    torch.testing.assert_close(excited, expected, rtol=0, atol=tolerance)


Settings = dict[str, Any]
POOLS: list[Settings] = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
]


@pytest.mark.parametrize("settings", [*POOLS, {"kernel_size": 2, "stride": 1, "dilation": 2}])
@pytest.mark.parametrize("size", [(6, 7), (5, 5)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_max_pool(settings: Settings, size: tuple[int, int], layout: torch.memory_format) -> None:
    """Values of few levels make ties certain: the first in reading order wins."""
    A = torch.randint(0, 3, (2, 3, *size)).double().contiguous(memory_format=layout)
    pool = nn.MaxPool2d(**settings)
    operation = operation_of(pool)
    out = pool(A)
    P = torch.rand(2, WORDS, *out.shape[1:], dtype=torch.float64) * (out.unsqueeze(1) > 0)
    found, excited = pass_down(operation, A, P)
    assert torch.equal(excited, out)
    sides = [
        (s, s) if isinstance(s, int) else s
        for s in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
    ]
    for n, k in itertools.product(range(2), range(WORDS)):
        winners = max_pool_matrix(A[n], sides, out.shape[2:])
        expected = winners.T @ P[n, k].flatten()
        torch.testing.assert_close(found[n, k].flatten(), expected, rtol=0, atol=1e-12)


def test_max_pool_follows_the_value_where_excitation_differs() -> None:
    """The winner is the largest value even if all are negative (their excitation is zero)."""
    x = -torch.rand(1, 2, 4, 4, dtype=torch.float64)
    operation = operation_of(nn.MaxPool2d(2))
    _, excited, _ = operation.connect([x], [x.clamp(min=0)])
    assert not excited.any()


@pytest.mark.parametrize(
    "settings",
    [s | {"count_include_pad": c} for s in POOLS for c in (True, False)]
    + [{"kernel_size": 2, "divisor_override": 3}],
)
@pytest.mark.parametrize("size", [(6, 7), (3, 3), (4, 5)])
def test_average_pool(settings: Settings, size: tuple[int, int]) -> None:
    check_affine(nn.AvgPool2d(**settings), (2, *size))


@pytest.mark.parametrize("size", [(7, 7), (6, 9), (2, 3), (1, 1)])
@pytest.mark.parametrize("output", [1, 2, 3, (2, 5), (7, 7), (None, 2)])
def test_adaptive_pool(size: tuple[int, int], output: int | tuple[int, int]) -> None:
    """Non-divisible sizes have cells of unequal windows; small inputs are enlarged."""
    check_affine(nn.AdaptiveAvgPool2d(output), (2, *size))


@pytest.mark.parametrize(
    "module",
    [nn.Flatten(), nn.ZeroPad2d((1, 0, 2, 3)), nn.ZeroPad2d((-1, 0, 0, 1)), nn.ChannelShuffle(2),
     nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.Flatten(2)],
    ids=lambda m: type(m).__name__,
)  # fmt: skip
def test_rearranging(module: nn.Module) -> None:
    check_affine(module, (4, 4, 6))


def norm(channels: int, signs: str) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels).double().eval()
    with torch.no_grad():
        layer.weight.uniform_(0.5, 1.5)
        if signs == "mixed":
            layer.weight[::2] *= -1
        layer.bias.normal_()
        layer.running_mean.normal_()  # type: ignore[union-attr]
        layer.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return layer


@pytest.mark.parametrize("signs", ["positive", "mixed"])
def test_batch_norm_alone(signs: str) -> None:
    """A diagonal matrix: the mass passes where the scale is positive."""
    check_affine(norm(4, signs), (4, 3, 5), nn.ReLU())


@pytest.mark.parametrize("signs", ["positive", "mixed"])
@pytest.mark.parametrize("bias", [True, False])
def test_folded_batch_norm_is_the_layer_of_both(signs: str, bias: bool) -> None:
    convolution = nn.Conv2d(3, 4, 3, padding=1, bias=bias).double()
    after = norm(4, signs)
    operation = operation_of(convolution)
    folded = module_operation(after)
    operation.layer = operation.layer.scaled(folded.scale, folded.shift)  # type: ignore
    both = nn.Sequential(convolution, after)
    A = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    value, excited, _ = operation.connect([A], [A])
    torch.testing.assert_close(value, both(A), rtol=0, atol=1e-12)
    P = torch.rand(1, WORDS, *value.shape[1:], dtype=torch.float64) * (excited > 0)
    found, _ = pass_down(operation, A, P)
    W = dense_matrix(both, A.shape[1:])
    for k in range(WORDS):
        expected = excitation_rule(W, A.flatten(), P[0, k].flatten())
        torch.testing.assert_close(found[0, k].flatten(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("module", [nn.LocalResponseNorm(3), nn.LocalResponseNorm(2, k=2.0)])
def test_local_response_norm_passes_the_mass_unchanged(module: nn.Module) -> None:
    A = torch.rand(2, 5, 3, 4, dtype=torch.float64)
    P = torch.rand(2, WORDS, 5, 3, 4, dtype=torch.float64)
    found, excited = pass_down(operation_of(module), A, P)
    torch.testing.assert_close(excited, module(A), rtol=0, atol=1e-12)
    torch.testing.assert_close(found, P, rtol=0, atol=1e-12)


def test_local_response_norm_of_signed_values_has_no_negative_excitation() -> None:
    x = torch.randn(1, 5, 3, 4, dtype=torch.float64)
    _, excited, link = operation_of(nn.LocalResponseNorm(3)).connect([x], [x.clamp(min=0)])
    assert bool((excited >= 0).all())
    (z,) = link.down(torch.ones_like(x))
    assert bool((z >= 0).all())


@pytest.mark.parametrize("module", [nn.Dropout(), nn.Dropout2d(), nn.Identity(), nn.AlphaDropout()])
def test_layers_that_do_nothing_in_evaluation(module: nn.Module) -> None:
    assert module_operation(module) == "unchanged"
