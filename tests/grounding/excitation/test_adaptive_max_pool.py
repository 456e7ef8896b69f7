"""Adaptive max pooling, as a module and as a function, against a loop over its windows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grounding.excitation import ExcitationBackprop, UnsupportedOperation


class Net(nn.Module):
    def __init__(self, as_module: bool) -> None:
        super().__init__()
        self.conv, self.pool, self.as_module = (
            nn.Conv2d(3, 4, 3),
            nn.AdaptiveMaxPool2d(3),
            as_module,
        )
        self.fc = nn.Linear(36, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).relu()
        return self.fc((self.pool(x) if self.as_module else F.adaptive_max_pool2d(x, 3)).flatten(1))


@pytest.mark.parametrize("as_module", [True, False])
def test_signal_follows_the_largest_of_each_window(as_module: bool) -> None:
    torch.manual_seed(0)
    net = Net(as_module).double().eval()
    x = torch.randn(1, 3, 9, 12, dtype=torch.float64)
    state = ExcitationBackprop(net, "conv")(x)
    with torch.no_grad():
        a = net.conv(x).relu()[0]  # (4, 7, 10): windows overlap, sides do not divide
        pooled = F.adaptive_max_pool2d(a, 3).flatten()
        W = net.fc.weight[2].clamp(min=0)
        mass = (W * pooled / (W * pooled).sum()).view(4, 3, 3)
        expected = torch.zeros(7, 10, dtype=torch.float64)
        for c in range(4):
            for i in range(3):
                for j in range(3):
                    rows = range(i * 7 // 3, -(-(i + 1) * 7 // 3))
                    columns = range(j * 10 // 3, -(-(j + 1) * 10 // 3))
                    cells = [(r, k) for r in rows for k in columns]
                    best = max(cells, key=lambda cell: float(a[c, cell[0], cell[1]]))
                    expected[best] += mass[c, i, j]
    torch.testing.assert_close(state.mwp([2])[0, 0], expected, rtol=0, atol=1e-12)
    many = state.cmwp([2] * 40, clamp=False)  # through the operator
    torch.testing.assert_close(many[:, :1], state.cmwp([2], clamp=False), rtol=0, atol=1e-12)


def test_a_sum_of_unequal_shapes_is_refused() -> None:
    class Broadcast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x).relu()
            return self.fc((x + x.mean((2, 3), keepdim=True)).mean((2, 3)))

    with pytest.raises(UnsupportedOperation, match="unequal shapes"):
        ExcitationBackprop(Broadcast().eval(), "conv")(torch.randn(1, 3, 8, 8))
