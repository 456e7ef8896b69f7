"""Small random nets of every kind of connection, each with its own explicit Markov chain."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.grounding.excitation.bottleneck_net import InvertedResidual
from tests.grounding.excitation.small_net import (
    CLASSES,
    Slow,
    SmallNet,
    conv,
    normed,
    pooled,
    randomise,
)


class Plain(SmallNet):
    """VGG-like: convolutions, one with batch norm, max pooling, a hidden linear layer, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.pool1 = conv(3, 4), nn.MaxPool2d(2)
        self.conv2, self.pool2 = normed(4, 5), nn.MaxPool2d(3, 2, ceil_mode=True)
        self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout()
        self.hidden, self.fc = nn.Linear(5 * 2 * 2, 7), nn.Linear(7, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        x = self.pool1(self.relu(self.conv1(x)))
        x = self.pool2(self.relu(self.conv2(x)))
        return self.drop(self.relu(self.hidden(torch.flatten(x, 1))))

    def slow(self, image: Tensor) -> Slow:
        s = Slow()
        net, layers = s.net, s.layers
        layers["conv1"] = net.affine(net.input(image), self.conv1)
        layers["pool1"] = net.max_pool(layers["conv1"], self.pool1)
        x = net.affine(layers["pool1"], self.conv2)
        layers["pool2"] = net.max_pool(x, self.pool2)
        x = net.average(layers["pool2"], lambda v: v.flatten(1))
        s.features = net.affine(x, self.hidden)
        return s


class Branches(SmallNet):
    """Inception-like: parallel branches (one pools, one averages) and concatenation, then LRN."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 4, stride=2)
        self.a, self.b1, self.b3 = normed(4, 2, 1), conv(4, 2, 1), normed(2, 3, 3)
        self.pool, self.c = nn.MaxPool2d(3, 1, 1), conv(4, 2, 1)
        self.average, self.d = nn.AvgPool2d(3, 1, 1), conv(4, 2, 1)
        self.lrn, self.last = nn.LocalResponseNorm(2), conv(9, 6)
        self.fc = nn.Linear(6, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        b = F.relu(self.b3(F.relu(self.b1(x))))
        parts = [
            F.relu(self.a(x)),
            b,
            F.relu(self.c(self.pool(x))),
            F.relu(self.d(self.average(x))),
        ]
        return pooled(torch.relu(self.last(self.lrn(torch.cat(parts, 1)))))

    def slow(self, image: Tensor) -> Slow:
        s = Slow()
        net = s.net
        x = s.layers["stem"] = net.affine(net.input(image), self.stem)
        b = net.affine(net.affine(x, self.b1), self.b3)
        c = net.affine(net.max_pool(x, self.pool), self.c)
        d = net.affine(net.average(x, self.average), self.d)
        x = net.concat([net.affine(x, self.a), b, c, d])
        s.layers["lrn"] = net.unchanged(x, self.lrn)
        s.features = net.average(net.affine(s.layers["lrn"], self.last), pooled)
        return s


class Residual(SmallNet):
    """ResNet-like: an identity block and a block with a strided 1x1 shortcut."""

    def __init__(self, residual: str = "positive") -> None:
        super().__init__()
        self.options = {"residual": residual}
        self.stem = normed(3, 4)
        self.a1, self.a2 = normed(4, 4), normed(4, 4)
        self.b1, self.b2, self.shortcut = (
            normed(4, 6, stride=2),
            normed(6, 6),
            normed(4, 6, 1, stride=2),
        )
        self.fc = nn.Linear(6, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        out = self.a2(F.relu(self.a1(x)))
        out += x
        x = F.relu(out)
        x = F.relu(self.b2(F.relu(self.b1(x))) + self.shortcut(x))
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def slow(self, image: Tensor) -> Slow:
        s = Slow()
        net, kind = s.net, self.options["residual"]
        x = s.layers["stem"] = net.affine(net.input(image), self.stem)
        s.layers["stem.1"] = x
        x = net.add([net.affine(net.affine(x, self.a1), self.a2, None, linear=kind), x])
        out = net.affine(net.affine(x, self.b1), self.b2, None, linear=kind)
        x = net.add([out, net.affine(x, self.shortcut, None, linear=kind)])
        s.features = net.average(x, pooled)
        return s


class Dense(SmallNet):
    """DenseNet-like: batch norm and ReLU before the convolution, concatenation of linear values."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 4, stride=2), nn.ReLU())
        self.norm1, self.conv1 = nn.BatchNorm2d(4), conv(4, 3)
        self.norm2, self.conv2 = nn.BatchNorm2d(7), conv(7, 4, 1)
        self.pool, self.last = nn.AvgPool2d(2), nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.conv1(F.relu(self.norm1(x)))], 1)
        x = self.pool(self.conv2(F.relu(self.norm2(x))))
        return pooled(F.relu(self.last(x)))

    def slow(self, image: Tensor) -> Slow:
        s = Slow()
        net = s.net
        x = s.layers["stem"] = net.affine(net.input(image), self.stem[0])
        new = net.affine(net.affine(x, self.norm1), self.conv1, None, linear="excitatory")
        x = net.affine(net.concat([x, new]), self.norm2)
        x = net.average(net.affine(x, self.conv2, None, linear="excitatory"), self.pool)
        s.features = net.average(net.affine(x, self.last), pooled)
        return s


class Shuffled(SmallNet):
    """ShuffleNet-like: channels split, one half kept, channels shuffled by a view."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch = conv(3, 6, stride=2), normed(3, 3)
        self.down, self.last = conv(6, 4, stride=2), conv(4, 6, 1)
        self.fc = nn.Linear(6, CLASSES)

    @staticmethod
    def shuffle(x: Tensor) -> Tensor:
        images, channels, height, width = x.size()
        x = x.view(images, 2, channels // 2, height, width)
        return torch.transpose(x, 1, 2).contiguous().view(images, channels, height, width)

    def features(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        kept, changed = x.chunk(2, dim=1)
        x = self.shuffle(torch.cat((kept, F.relu(self.branch(changed))), dim=1))
        return pooled(F.relu(self.last(F.relu(self.down(x)))))

    def slow(self, image: Tensor) -> Slow:
        s = Slow()
        net = s.net
        x = s.layers["stem"] = net.affine(net.input(image), self.stem)
        kept, changed = net.average(x, lambda v: v[:, :3]), net.average(x, lambda v: v[:, 3:])
        x = net.average(net.concat([kept, net.affine(changed, self.branch)]), self.shuffle)
        s.features = net.average(net.affine(net.affine(x, self.down), self.last), pooled)
        return s


class Bounded(SmallNet):
    """Lower-bounded activation functions, Eq. 12: tanh, ELU, sigmoid; max pooling between them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(3, 4), conv(4, 5), conv(5, 6, 1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(6, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        x = self.pool(torch.tanh(self.conv1(x)))
        x = self.pool(F.elu(self.conv2(x), 0.8))
        return pooled(self.conv3(x).sigmoid())

    def slow(self, image: Tensor) -> Slow:
        s = Slow()
        net = s.net
        x = net.affine(net.input(image), self.conv1, torch.tanh, bound=-1.0)
        x = s.layers["pool"] = net.max_pool(x, self.pool)
        s.layers["pool"] = net.max_pool(
            net.affine(x, self.conv2, lambda v: F.elu(v, 0.8), bound=-0.8), self.pool
        )
        x = net.affine(s.layers["pool"], self.conv3, torch.sigmoid, bound=0.0)
        s.features = net.average(x, pooled)
        return s


NETS: dict[str, type[SmallNet] | tuple[type[SmallNet], str]] = {
    "plain": Plain,
    "branches": Branches,
    "residual": Residual,
    "residual-signed": (Residual, "signed"),
    "bottleneck": InvertedResidual,
    "bottleneck-excitatory": (InvertedResidual, "excitatory"),
    "bottleneck-composed": (InvertedResidual, "composed"),
    "dense": Dense,
    "shuffled": Shuffled,
    "bounded": Bounded,
}


def make(name: str, seed: int) -> SmallNet:
    """A net of random weights (batch norms with statistics and scales of both signs) in float64."""
    torch.manual_seed(seed)
    found = NETS[name]
    net = found() if isinstance(found, type) else found[0](found[1])
    randomise(net)
    return net.double().eval()
