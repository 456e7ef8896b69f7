"""The operator of all positions: equal to word by word, whatever the colours, bands and grids."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from grounding.excitation import ExcitationBackprop, State, operator
from grounding.excitation.operator import Support, box_coverage, recolour
from tests.grounding.excitation.small_net import CLASSES
from tests.grounding.excitation.small_nets import make

NETS = {
    "branches": "stem",
    "residual": "stem",
    "bottleneck": "depth1",
    "bottleneck-composed": "depth1",
    "dense": "stem",
    "shuffled": "stem",
    "bounded": "pool",
}
WORDS = list(range(CLASSES))


def word_by_word(state: State, contrastive: bool) -> Tensor:
    """One word a query: fewer than a chunk, so the operator is not built."""
    ask = (lambda k: state.cmwp([k], clamp=False)) if contrastive else (lambda k: state.mwp([k]))
    maps = torch.cat([ask(k) for k in WORDS], 1)
    assert state._answers_of_positions is None
    return maps


@pytest.mark.parametrize("bands", [1, 3, 100])
@pytest.mark.parametrize("size", [(17, 24), (32, 9), (16, 16), (21, 21)])
@pytest.mark.parametrize("name", NETS)
def test_operator_equals_word_by_word(
    name: str, size: tuple[int, int], bands: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On odd and non-square sizes, and where the memory limit cuts the grid into bands of rows."""
    net = make(name, 4)
    torch.manual_seed(9)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    engine = ExcitationBackprop(net, NETS[name], **net.options)  # type: ignore[arg-type]
    plain, contrast = (word_by_word(engine(x), c) for c in (False, True))
    state = engine(x)
    if bands > 1:
        geometry = state._get_geometry()
        whole = geometry._peak(slice(0, state.grid[0])) * geometry.bytes
        monkeypatch.setattr(operator, "_MEMORY", whole // bands)
        assert len(geometry.tiles()) > 1
    T = state.operator()
    assert T.shape == (2, state._top.excitations.shape[1], state.grid[0] * state.grid[1])
    torch.testing.assert_close(state.mwp(WORDS), plain, rtol=0, atol=1e-13)
    torch.testing.assert_close(state.cmwp(WORDS, clamp=False), contrast, rtol=0, atol=1e-13)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    build = operator.build_operator

    def counted(*args):  # type: ignore[no-untyped-def]
        calls.append(1)
        return build(*args)

    monkeypatch.setattr("grounding.excitation.state.build_operator", counted)
    return calls


def test_many_words_choose_the_operator_by_themselves(built: list[int]) -> None:
    net = make("residual", 4)
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    engine = ExcitationBackprop(net, "stem")
    few = engine(x).cmwp(WORDS)
    assert not built
    state = engine(x)
    many = state.cmwp(WORDS * 200)
    assert built == [1]
    torch.testing.assert_close(many, few.repeat(1, 200, 1, 1), rtol=0, atol=1e-13)
    state.mwp(WORDS)
    state.operator()
    assert built == [1]  # kept for later queries


def test_operator_of_many_colours_costs_less_than_one_pass_per_position() -> None:
    state = ExcitationBackprop(make("residual", 4), "stem")(
        torch.randn(1, 3, 24, 24, dtype=torch.float64)
    )
    geometry = state._get_geometry()
    positions = state.grid[0] * state.grid[1]
    assert geometry.cost_of_operator() < positions * geometry.cost_per_word() / 4


class Twice(nn.Module):
    """Values that are read twice by the same step."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.project, self.expand = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 8, 1)
        self.wide, self.fc = nn.Conv2d(4, 8, 3, padding=1), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(x))
        if self.kind == "concat":
            return self.fc(torch.cat([x, x], 1).mean((2, 3)))
        linear = self.project(x)
        expanded = torch.relu(self.expand(linear + linear))
        if self.kind == "sums":
            expanded = expanded + torch.relu(self.wide(x + x))
        return self.fc(expanded.mean((2, 3)))


@pytest.mark.parametrize("kind", ["concat", "linear", "sums"])
@pytest.mark.parametrize("bottlenecks", ["positive", "composed"])
def test_a_value_read_twice_gets_both_shares(kind: str, bottlenecks: str) -> None:
    torch.manual_seed(2)
    net = Twice(kind).double().eval()
    engine = ExcitationBackprop(net, "relu", bottlenecks=bottlenecks)  # type: ignore[arg-type]
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    plain = word_by_word(engine(x), False)
    state = engine(x)
    state.operator()
    torch.testing.assert_close(state.mwp(WORDS), plain, rtol=0, atol=1e-13)
    if kind == "concat" or bottlenecks == "composed":  # nothing signed on the way
        total = plain.sum((2, 3)) + engine(x).leak(WORDS)
        torch.testing.assert_close(total, torch.ones(2, CLASSES).double(), rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_recolouring_moves_each_indicator_to_its_colour(data: st.DataObject) -> None:
    """Against a loop: the colour (r, c) of period p holds the indicators of rows r, r+p, …."""
    grid = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    reach = data.draw(st.integers(0, 2))
    spread = [torch.zeros(n, n).bool() for n in grid]
    for lines, n in zip(spread, grid, strict=True):
        for i in range(n):
            lines[i, max(0, i - reach) : i + reach + 1] = True
    support = Support(spread[0], spread[1])
    old = support.period
    new = tuple(data.draw(st.integers(p, n)) for p, n in zip(old, grid, strict=True))
    if any(support_meets(lines, p) for lines, p in zip(spread, new, strict=True)):
        return
    single = torch.rand(grid[0], grid[1], 2, *grid)  # a signal of each indicator, on its support
    single *= (spread[0][:, None, None, :, None] & spread[1][None, :, None, None, :]).float()
    merged = merge(single, old)
    found = recolour(merged, 1, support, old, new)  # type: ignore[arg-type]
    assert torch.equal(found, merge(single, new))  # type: ignore[arg-type]


def support_meets(lines: Tensor, period: int) -> bool:
    """Whether two indicators of one colour overlap somewhere."""
    return any(
        bool((lines[i] & lines[j]).any())
        for i in range(len(lines))
        for j in range(i + period, len(lines), period)
    )


def merge(single: Tensor, period: tuple[int, int]) -> Tensor:
    colours = torch.zeros(period[0] * period[1], *single.shape[2:])
    for i in range(single.shape[0]):
        for j in range(single.shape[1]):
            colours[(i % period[0]) * period[1] + j % period[1]] += single[i, j]
    return colours


def test_period_is_the_smallest_without_meeting() -> None:
    spread = torch.zeros(6, 8).bool()
    for i in range(6):
        spread[i, i : i + 3] = True
    assert Support(spread, torch.eye(4).bool()).period == (3, 1)
    gaps = torch.eye(6, 10).bool() | torch.eye(6, 10).roll(4, 1).bool()  # i and i + 4: dilation
    assert Support(gaps, torch.eye(4).bool()).period == (3, 1)


def test_coverage_of_boxes_is_the_covered_share_of_each_cell() -> None:
    boxes = torch.tensor(
        [
            [0, 0, 20, 10],
            [5, 0, 10, 10],
            [-9, -9, 2, 2],
            [30, 30, 40, 40],
            [8, 8, 3, 3],
            [4, 4, 4, 9],
        ]
    ).double()
    cover = box_coverage(boxes, (10, 20), (2, 4))  # cells of 5 x 5 pixels
    assert cover[0].tolist() == [[1] * 4] * 2
    assert cover[1].tolist() == [[0, 1, 0, 0]] * 2
    assert cover[2, 0, 0] == pytest.approx(4 / 25)
    assert cover[2].sum() == pytest.approx(4 / 25)
    assert not cover[3:].any()


def test_boxes_to_words_on_odd_inputs() -> None:
    state = ExcitationBackprop(make("residual", 4), "stem")(
        torch.randn(2, 3, 12, 8, dtype=torch.float64)
    )
    assert state.boxes_to_words(torch.zeros(0, 4)).shape == (2, 0, CLASSES)
    outside = torch.tensor([[100.0, 100, 120, 120], [5, 5, 5, 5], [7, 7, 3, 3]])
    assert not state.boxes_to_words(outside).any()
    every = state.boxes_to_words(torch.tensor([[-5.0, -5, 99, 99]]), contrastive=False)[:, 0]
    torch.testing.assert_close(every, 1 - state.leak(WORDS), rtol=0, atol=1e-12)
    own = torch.tensor([[[0.0, 0, 4, 4]], [[2, 2, 8, 12]]])
    both = state.boxes_to_words(own)
    for n in range(2):
        shared = state.boxes_to_words(own[n])[n]
        torch.testing.assert_close(both[n], shared, rtol=0, atol=1e-12)
    for wrong in (torch.zeros(4), torch.zeros(2, 5), torch.zeros(3, 1, 4), torch.zeros(1, 1, 1, 4)):
        with pytest.raises(ValueError, match="boxes must be"):
            state.boxes_to_words(wrong)
