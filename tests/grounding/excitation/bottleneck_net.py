"""Linear bottlenecks, plain and composed, with their Markov chains."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from tests.grounding.excitation.small_net import CLASSES, Slow, SmallNet, normed, pooled
from tests.oracles.slow_net import Neurons


class InvertedResidual(SmallNet):
    """MobileNetV2-like: linear bottlenecks, an identity shortcut, depthwise convolutions, ReLU6."""

    def __init__(self, bottlenecks: str = "positive") -> None:
        super().__init__()
        self.options = {"bottlenecks": bottlenecks}
        self.stem = normed(3, 4, stride=2)
        self.depth1, self.project1 = normed(4, 4, groups=4), normed(4, 3, 1)
        self.expand2, self.depth2, self.project2 = (
            normed(3, 6, 1),
            normed(6, 6, groups=6),
            normed(6, 3, 1),
        )
        self.expand3, self.depth3 = normed(3, 6, 1), normed(6, 6, groups=6, stride=2)
        self.project3, self.head = normed(6, 4, 1), normed(4, 8, 1)
        self.fc = nn.Linear(8, CLASSES)

    def features(self, x: Tensor) -> Tensor:
        x = self.project1(F.relu6(self.depth1(F.relu6(self.stem(x)))))
        x = x + self.project2(F.relu6(self.depth2(F.relu6(self.expand2(x)))))
        x = self.project3(F.relu6(self.depth3(F.relu6(self.expand3(x)))))
        return F.relu6(self.head(x)).mean([2, 3])

    def slow(self, image: Tensor) -> Slow:
        s = Slow()
        net, kind = s.net, self.options["bottlenecks"]
        x = s.layers["stem"] = net.affine(net.input(image), self.stem, F.relu6)
        h1 = s.layers["depth1"] = net.affine(x, self.depth1, F.relu6)
        if kind == "composed":
            return self._slow_composed(s, h1)
        x = net.affine(h1, self.project1, None, linear=kind)
        h2 = net.affine(net.affine(x, self.expand2, F.relu6), self.depth2, F.relu6)
        x = net.add([x, net.affine(h2, self.project2, None, linear=kind)], None, linear=kind)
        h3 = net.affine(net.affine(x, self.expand3, F.relu6), self.depth3, F.relu6)
        x = net.affine(h3, self.project3, None, linear=kind)
        s.features = net.average(net.affine(x, self.head, F.relu6), pooled)
        return s

    def _slow_composed(self, s: Slow, h1: Neurons) -> Slow:
        """Project, add and expand as one dense layer of the non-negative outputs before them.

        A linear target stands for the non-negative values it is made of.
        """
        net = s.net
        x1 = self.project1(h1.value[None])
        e2 = net.joint(
            self.expand2(x1)[0], [(h1, nn.Sequential(self.project1, self.expand2))], F.relu6
        )
        h2 = s.layers["project2"] = net.affine(e2, self.depth2, F.relu6)
        x2 = x1 + self.project2(h2.value[None])
        paths = [(h1, self.project1), (h2, self.project2)]
        both = [(h, nn.Sequential(project, self.expand3)) for h, project in paths]
        e3 = s.layers["expand3"] = net.joint(self.expand3(x2)[0], both, F.relu6)
        h3 = s.layers["project3"] = net.affine(e3, self.depth3, F.relu6)
        last = nn.Sequential(self.project3, self.head)
        s.features = net.average(net.joint(last(h3.value[None])[0], [(h3, last)], F.relu6), pooled)
        return s
