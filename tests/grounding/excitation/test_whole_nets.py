"""Networks as people use them: logits, conservation, default targets, float32 and refusals."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from grounding.excitation import ExcitationBackprop, State, UnsupportedOperation
from grounding.excitation.links import MaxPoolLink
from tests.grounding.excitation.whole_nets import NETS, image_for, make_net

WORDS = [0, 7, 281, 999]


@pytest.fixture(scope="module", params=NETS)
def name(request: pytest.FixtureRequest) -> str:
    """Every network; a module's fixture, so that all tests of one network follow each other."""
    return str(request.param)


def test_logits_mass_operator_and_float32(name: str) -> None:
    net, x = make_net(name), image_for(name)
    double = copy.deepcopy(net).double()
    with torch.no_grad():
        logits = double(x.double())
    engine = ExcitationBackprop(double, NETS[name].target)
    state = engine(x.double())
    torch.testing.assert_close(state.logits, logits, rtol=1e-10, atol=1e-10)
    maps, contrast = state.mwp(WORDS), state.cmwp(WORDS, clamp=False)
    check_mass(state, maps)
    assert bool(contrast.isfinite().all())
    assert torch.equal(state.cmwp(WORDS), contrast.clamp(min=0))
    assert bool((state.wta(WORDS).sum((2, 3)) <= 1).all())
    if name != "squeezenet1_0":  # there, a word's score itself may be zero
        assert bool((maps.amax((2, 3)) > 0).all())
    check_operator(engine(x.double()), maps, contrast)
    check_float32(ExcitationBackprop(net, NETS[name].target)(x), state)


def check_mass(state: State, maps: Tensor) -> None:
    assert maps.shape == (1, len(WORDS), *state.grid)
    assert bool((maps >= 0).all())
    total = maps.sum((2, 3)) + state.leak(WORDS)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-10)


def check_operator(state: State, maps: Tensor, contrast: Tensor) -> None:
    state.operator()
    tolerance = 1e-12 * float(maps.max())
    torch.testing.assert_close(state.mwp(WORDS), maps, rtol=0, atol=tolerance)
    found = state.cmwp(WORDS, clamp=False)
    torch.testing.assert_close(found, contrast, rtol=0, atol=tolerance)


def check_float32(single: State, double: State) -> None:
    """To 1e-5 of the MWP's maximum: random weights leave c-MWP only 1e-5 of the MWP it is made of.

    A rounding that changes a max pool's winner moves that winner's whole mass by a cell.
    """
    pools = [
        [link for link in state._run.links.values() if isinstance(link, MaxPoolLink)]
        for state in (single, double)
    ]
    same = all(torch.equal(a.winners, b.winners) for a, b in zip(*pools, strict=True))
    maps = double.mwp(WORDS)
    scale = maps.amax((2, 3), keepdim=True).clamp(min=1e-30)
    for found, expected in (
        (single.mwp(WORDS), maps),
        (single.cmwp(WORDS), double.cmwp(WORDS)),
        (single.leak(WORDS), double.leak(WORDS)),
    ):
        error = (found - expected).abs()
        error = error / scale if error.ndim == 4 else error
        assert float(error.max()) <= (1e-5 if same else 1e-3)


def test_default_targets(name: str) -> None:
    """The named module has the nearest grid at 224x224; given back, it gives the same maps."""
    net = make_net(name)
    x = torch.randn(1, 3, 224, 224)
    for resolution, expected in ((None, NETS[name].target), (28, NETS[name].target28)):
        engine = ExcitationBackprop(net, resolution=resolution)
        assert engine.target == expected
        grids: list[tuple[int, ...]] = []
        hook = net.get_submodule(expected).register_forward_hook(
            lambda module, inputs, output, grids=grids: grids.append(output.shape[2:])
        )
        with torch.no_grad():
            net(x)
        hook.remove()
        state = engine(x)
        assert grids == [state.grid]
        assert abs(state.grid[0] - (resolution or 14)) <= 3
        if resolution is None:
            again = ExcitationBackprop(net, engine.target)
            assert again.target == expected
            assert torch.equal(again(x).mwp([3]), state.mwp([3]))


def test_paper_s_targets() -> None:
    """pool4 of VGG16, pool3 of GoogLeNet; stages of ResNets."""
    for arch, target in (("vgg16", "features.23"), ("resnet101", "layer3"), ("resnet34", "layer3")):
        with torch.device("meta"):
            shape = getattr(torchvision.models, arch)(weights=None)
        with torch.no_grad():
            net = shape.to_empty(device="cpu")
            for tensor in net.state_dict().values():
                tensor.zero_()
        assert ExcitationBackprop(net).target == target


@pytest.mark.parametrize(
    ("library", "gated"), [("torchvision", "efficientnet_b0"), ("timm", "efficientnet_b0"),
                          ("torchvision", "mobilenet_v3_small"), ("timm", "seresnet18")]
)  # fmt: skip
def test_gates_are_refused_or_taken_as_constants(library: str, gated: str) -> None:
    net = make_net(gated, library)
    with pytest.raises(UnsupportedOperation, match="gates='constant'") as refusal:
        ExcitationBackprop(net)
    path = str(refusal.value).split("cannot pass ")[1].split(" ")[0].rsplit(".", 1)[0]
    assert path in dict(net.named_modules())
    x = torch.randn(1, 3, 64, 96)
    engine = ExcitationBackprop(net, gates="constant")
    assert ExcitationBackprop(net, engine.target, gates="constant").target == engine.target
    state = engine(x)
    with torch.no_grad():
        torch.testing.assert_close(state.logits, net(x), rtol=1e-3, atol=1e-4)
    maps = state.mwp(WORDS)
    assert bool((maps >= 0).all())
    total = maps.sum((2, 3)) + state.leak(WORDS)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-5)
    assert bool((state.leak(WORDS) < 1).all())
    assert bool(state.cmwp(WORDS).isfinite().all())


Maker = Callable[[], nn.Module]
REFUSED: dict[str, tuple[Maker, str]] = {
    "vit": (lambda: timm.create_model("vit_tiny_patch16_224", pretrained=False), "blocks.3"),
    "torchvision vit": (
        lambda: torchvision.models.VisionTransformer(224, 32, 2, 2, 32, 64),
        "encoder.layers.encoder_layer_0",
    ),
    "convnext": (lambda: torchvision.models.convnext_tiny(weights=None), "features.3"),
    "timm convnext": (lambda: timm.create_model("convnext_atto", pretrained=False), "stages.2"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_attention_and_layer_norm_are_refused(kind: str) -> None:
    make, target = REFUSED[kind]
    net = make().eval()
    paths = [path for path, _ in net.named_modules() if path]
    for wanted in (None, target):
        with pytest.raises(UnsupportedOperation) as refusal:
            ExcitationBackprop(net, wanted)
        message = str(refusal.value)
        assert "\n" not in message
        assert "cannot pass" in message
        between = message.split("cannot pass ")[1].split(", between")[0]
        assert any(path in between for path in paths)
