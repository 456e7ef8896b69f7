"""The Excitation Backprop engine: speed, agreement with TorchRay, float32 error and memory.

On a CPU the contestants take turns in one process on one thread, and CPU time is quoted. On a GPU
(``device=cuda``) a batch of images is measured besides, against the floor its arithmetic sets.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import skimage.data
import torch
import torchvision
from PIL import Image
from rich.console import Console
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.functional import normalize, to_tensor

from grounding.excitation import ExcitationBackprop
from scripts.benches import record

NOTES = """\
Weights are random (torchvision's initialisation; batch-norm scales drawn in 0.5–1.5), images are \
noise, {size}x{size}. Times in ms, {clock}, medians of {rounds} rounds in which the contestants \
take turns.

`forward`: the plain model. `backprop`: forward and error backpropagation to the target; `cl`: the \
same with weights and image in channels-last order, PyTorch's fastest. `1 word`, `20 words`: \
engine, forward included. `all words`: {vocabulary} words at 14x14, forward included, over \
`forward`. `TorchRay/ours`: 20 words. `agrees`: largest difference from TorchRay's c-MWP over the \
map's maximum, float64. `float32`: largest difference of float32 maps of a photo from float64 \
maps, over the maximum of the word's MWP map (the c-MWP map is a difference of two such maps); \
`own`: median over words of that of c-MWP over its own maximum. `MiB …`: peak memory that a query \
of so many words adds to the model, the engine and the state."""

# net: target of the speed table, of the 14x14 grid, TorchRay's contrast and classifier layers
NETS: dict[str, tuple[str, str, str, str]] = {
    "googlenet": ("maxpool3", "maxpool3", "avgpool", "fc"),
    "vgg16": ("features.23", "features.23", "classifier.4", "classifier.6"),
    "resnet50": ("layer2", "layer3", "avgpool", "fc"),
}


@dataclass
class Settings:
    """What is measured."""

    nets: list[str] = field(default_factory=lambda: list(NETS))
    device: str = "cpu"
    threads: int = 1
    size: int = 224
    vocabulary: int = 18157
    rounds: int = 5
    torchray: bool = True  # also run the peer (extra `bench`)
    batch: int = 64  # images of the GPU's batch
    seed: int = 0


def main() -> None:
    """Measure every net and write the record."""
    settings = record.read_settings(Settings)
    torch.set_num_threads(settings.threads)
    console = Console()
    rows: list[dict[str, object]] = []
    unknown = [name for name in settings.nets if name not in NETS]
    if unknown or not settings.nets:
        sys.exit(f"nets={settings.nets}: give some of {', '.join(NETS)}")
    for name in settings.nets:
        torch.manual_seed(settings.seed)
        rows.append({"net": name} | measure(name, settings, console))
    clock = "wall clock, synchronised" if settings.device != "cpu" else "CPU time"
    notes = NOTES.format(clock=clock, **vars(settings))
    console.print(record.table(rows))
    console.print(f"record: {record.write('engine', settings, rows, notes)}")


def measure(name: str, settings: Settings, console: Console) -> dict[str, object]:
    """All figures of one net."""
    model = random_model(name).to(settings.device)
    image = torch.randn(1, 3, settings.size, settings.size, device=settings.device)
    row: dict[str, object] = {}
    for part in (speed, peer, whole_vocabulary, precision, memory, batch_on_gpu):
        console.print(f"{name}: {part.__name__.replace('_', ' ')}")
        row |= part(name, model, image, settings)
    return row


def random_model(name: str, classes: int = 1000) -> nn.Module:
    """Return a net with random weights and positive, unequal batch-norm scales."""
    extra = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    model: nn.Module = getattr(torchvision.models, name)(weights=None, num_classes=classes, **extra)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.normal_(module.running_mean, 0, 0.1)  # type: ignore[arg-type]
            nn.init.normal_(module.bias, 0, 0.1)
    return model.eval().requires_grad_(False)


def speed(name: str, model: nn.Module, image: Tensor, settings: Settings) -> dict[str, object]:
    """One word against error backpropagation to the same layer."""
    target = NETS[name][0]
    engine = ExcitationBackprop(model, target)
    fast = copy.deepcopy(model).to(memory_format=torch.channels_last)
    layout = image.contiguous(memory_format=torch.channels_last)
    times = take_turns(
        {
            "forward": lambda: forward(model, image),
            "backprop": lambda: backprop(model, image, target),
            "backprop cl": lambda: backprop(fast, layout, target),
            "1 word": lambda: engine(image).cmwp([3]),
        },
        settings,
    )
    return {
        **times,
        "1 word/backprop": times["1 word"] / times["backprop"],
        "1 word/backprop cl": times["1 word"] / times["backprop cl"],
    }


def peer(name: str, model: nn.Module, image: Tensor, settings: Settings) -> dict[str, object]:
    """TorchRay's contrastive excitation backprop on 20 words, and its distance from ours."""
    if not settings.torchray:
        return {}
    target = NETS[name][0]
    theirs = torchray_cmwp(name, model, target)
    words = list(range(0, 1000, 50))
    engine = ExcitationBackprop(model, target)
    times = take_turns(
        {
            "TorchRay 20 words": lambda: [theirs(image, word) for word in words],
            "20 words": lambda: engine(image).cmwp(words),
        },
        settings,
    )
    double, exact = copy.deepcopy(model).double(), image.double()
    ours = ExcitationBackprop(double, target, residual="signed")(exact)
    theirs = torchray_cmwp(name, double, target)
    errors = [relative(ours.cmwp([word])[0, 0], theirs(exact, word)) for word in words[:3]]
    return {
        **times,
        "TorchRay/ours": times["TorchRay 20 words"] / times["20 words"],
        "agrees": max(errors),
    }


def torchray_cmwp(name: str, model: nn.Module, target: str) -> Callable[[Tensor, int], Tensor]:
    """Return TorchRay's contrastive excitation backprop of one word: (image, word) → (h, w)."""
    from torchray.attribution import excitation_backprop as torchray

    _, _, contrast, classifier = NETS[name]
    layers = {"saliency_layer": target, "contrast_layer": contrast, "classifier_layer": classifier}
    patched = copy.deepcopy(model)
    if name.startswith("resnet"):
        torchray.update_resnet(patched)

    def maps(image: Tensor, word: int) -> Tensor:
        return torchray.contrastive_excitation_backprop(patched, image, word, **layers)[0, 0]

    return maps


def whole_vocabulary(
    name: str, model: nn.Module, image: Tensor, settings: Settings
) -> dict[str, object]:
    """Maps of every word of a large vocabulary, through the operator."""
    large = random_model(name, settings.vocabulary).to(settings.device)
    engine = ExcitationBackprop(large, NETS[name][1])
    words = torch.arange(settings.vocabulary)
    times = take_turns(
        {
            "forward of all": lambda: forward(model, image),
            "all words": lambda: engine(image).cmwp(words),
        },
        settings,
    )
    return {
        "all words": times["all words"],
        "all/forward": times["all words"] / times["forward of all"],
    }


def precision(name: str, model: nn.Module, image: Tensor, settings: Settings) -> dict[str, object]:
    """Difference of float32 maps of a photo from float64 maps."""
    words = list(range(0, 1000, 50))
    photo = photograph(settings.size).to(settings.device)
    single = ExcitationBackprop(model, NETS[name][0])(photo)
    double = ExcitationBackprop(copy.deepcopy(model).double(), NETS[name][0])(photo.double())
    mwp, exact_mwp = single.mwp(words)[0].double(), double.mwp(words)[0]
    cmwp, exact = single.cmwp(words)[0].double(), double.cmwp(words)[0]
    operands = exact_mwp.amax((1, 2))  # the contrast subtracts two maps of this size
    difference = (cmwp - exact).abs().amax((1, 2))
    return {
        "float32 MWP": float(((mwp - exact_mwp).abs().amax((1, 2)) / operands).max()),
        "float32 c-MWP": float((difference / operands).max()),
        "float32 c-MWP own": float((difference / exact.amax((1, 2))).median()),
    }


def photograph(size: int) -> Tensor:
    """Return a photo of a cat, normalised as for ImageNet."""
    image = Image.fromarray(skimage.data.chelsea()).resize((size, size))
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    return normalize(to_tensor(image), mean, std).unsqueeze(0)


def memory(name: str, model: nn.Module, image: Tensor, settings: Settings) -> dict[str, object]:
    """Peak memory of queries of few and many words, each in a process of its own."""
    found: dict[str, object] = {}
    for count in (32, 1000):
        with get_context("spawn").Pool(1) as process:
            peak = process.apply(added_memory, (name, count, settings))
        found[f"MiB {count} words"] = peak / 2**20
    return found


def added_memory(name: str, words: int, settings: Settings) -> int:
    """Bytes that one query adds at its peak to the model, the engine and a state."""
    torch.set_num_threads(settings.threads)
    model = random_model(name).to(settings.device)
    image = torch.randn(1, 3, settings.size, settings.size, device=settings.device)
    state = ExcitationBackprop(model, NETS[name][0])(image)
    if settings.device != "cpu":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        state.cmwp(torch.arange(words))
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status_bytes("VmRSS")
    state.cmwp(torch.arange(words))
    return _status_bytes("VmHWM") - before


def batch_on_gpu(
    name: str, model: nn.Module, image: Tensor, settings: Settings
) -> dict[str, object]:
    """Images a second for a batch and 20 words, and the share of its arithmetic in the time."""
    if settings.device == "cpu":
        return {}
    images = torch.randn(settings.batch, *image.shape[1:], device=image.device)
    engine = ExcitationBackprop(model, NETS[name][0])
    words = list(range(20))
    times = take_turns({"batch": lambda: engine(images).cmwp(words)}, settings)
    with FlopCounterMode(display=False) as counter:
        engine(images).cmwp(words)
    operations = counter.get_total_flops()
    floor = operations / matmul_peak(settings) * 1e3
    return {
        "batch ms": times["batch"],
        "images/s": settings.batch / times["batch"] * 1e3,
        "GFLOP/image": operations / settings.batch / 1e9,
        "share of floor": floor / times["batch"],
    }


def matmul_peak(settings: Settings) -> float:
    """Measured float32 matrix-product rate, FLOP/s."""
    side = 8192
    a = torch.randn(side, side, device=settings.device)
    times = take_turns({"product": lambda: a @ a}, settings)
    return 2 * side**3 / times["product"] * 1e3


@torch.no_grad()
def forward(model: nn.Module, image: Tensor) -> Tensor:
    """Return the class scores."""
    return model(image)


def backprop(model: nn.Module, image: Tensor, target: str) -> Tensor:
    """Gradient of one class score at the target layer; nothing below it is differentiated."""
    kept: list[Tensor] = []

    def cut(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[0]

    handle = model.get_submodule(target).register_forward_hook(cut)
    try:
        return torch.autograd.grad(model(image)[0, 3], kept[0])[0]
    finally:
        handle.remove()


def take_turns(
    contestants: Mapping[str, Callable[[], object]], settings: Settings
) -> dict[str, float]:
    """Median time of each contestant in ms; one warm-up, then rounds in which each runs once."""
    cuda = settings.device != "cpu"
    clock = time.perf_counter if cuda else time.process_time
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(settings.rounds + 1):
        for name, run in contestants.items():
            if cuda:
                torch.cuda.synchronize()
            start = clock()
            run()
            if cuda:
                torch.cuda.synchronize()
            if turn:
                times[name].append((clock() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def relative(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the expected map's maximum."""
    return float((found - expected).abs().max() / expected.abs().max())


def _status_bytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


if __name__ == "__main__":
    main()
