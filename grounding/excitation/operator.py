"""The operator from features to positions, by the adjoint with coloured indicators.

Below the classifier the signal chain of an image is one linear operator ``T`` (features x
positions). Pushing the indicator of one position up the chain gives one column of it. Indicators
whose supports do not meet can share a pass ("a colour"): right above the target a pass carries
every position, after a 3x3 convolution every third row and column, and so on; each step uses the
fewest colours its supports allow, so only the topmost layers pay for all positions one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .build import Step
from .layers import ConvLayer
from .links import AffineLink
from .operations import Affine, AveragePool, Fixed, MaxPool
from .plan import Plan, Run

_MEMORY = 2**28  # bytes of the largest tensor of one tile of positions

Period = tuple[int, int]  # indicators of equal (row mod, column mod) share a colour


@dataclass
class Support:
    """Where the target's rows and columns have spread to: ``(h, H)`` and ``(w, W)`` booleans."""

    rows: Tensor
    columns: Tensor

    def of_rows(self, rows: slice) -> Support:
        return Support(self.rows[rows], self.columns)

    @property
    def period(self) -> Period:
        """The smallest periods at which equal colours do not meet."""
        return _period(self.rows), _period(self.columns)


def _period(spread: Tensor) -> int:
    count = len(spread)
    i, j = (spread.float() @ spread.float().T).nonzero(as_tuple=True)
    meeting = set((i - j).abs().tolist())  # distances at which two indicators meet
    for period in range(1, count):
        if not any(distance and distance % period == 0 for distance in meeting):
            return period
    return count


class Geometry:
    """Supports and colours of every step of a plan for one input size."""

    def __init__(self, plan: Plan, run: Run, grid: tuple[int, int]) -> None:
        self.plan, self.grid = plan, grid
        self.bytes = len(run.output) * run.output.element_size()  # of one number for all images
        self.steps = plan.below_classifier
        self.sizes = {step: tuple(e.shape[1:]) for step, e in run.excitations.items()}
        self.macs = {
            step: link.macs
            for step in self.steps
            if isinstance(link := run.links[step], AffineLink)
        }
        self.supports: dict[Step, Support] = {}
        for end in plan.ends:
            self.supports[end] = Support(torch.eye(grid[0]).bool(), torch.eye(grid[1]).bool())
        for step in self.steps:
            self.supports[step] = self._spread(step)

    def cost_per_word(self) -> float:
        """Multiply-adds of one signal running down."""
        return float(sum(self.macs.values()))

    def cost_of_operator(self) -> float:
        """Multiply-adds of all colours running up, for each image."""
        total = 0.0
        for tile in self.tiles():
            for step, macs in self.macs.items():
                height, width = self.supports[step].of_rows(tile).period
                total += height * width * macs
        return total

    def tiles(self) -> list[slice]:
        """Bands of target rows whose largest tensor stays within the memory limit."""
        count = self.grid[0]
        for bands in range(1, count + 1):
            height = -(-count // bands)
            if bands == count or self._peak(slice(0, height)) * self.bytes <= _MEMORY:
                return [slice(i, min(i + height, count)) for i in range(0, count, height)]
        raise AssertionError("unreachable: a band of one row is always returned")

    def _peak(self, rows: slice) -> int:
        peaks = []
        for step in self.steps:
            height, width = self.supports[step].of_rows(rows).period
            size = self.sizes[step]
            peaks.append(height * width * int(torch.tensor(size).prod()))
        return max(peaks, default=0)

    def _spread(self, step: Step) -> Support:
        parts = [
            self._through(step, i, self.supports[source])
            for i, source in enumerate(step.sources)
            if source in self.supports
        ]
        return Support(
            torch.stack([part.rows for part in parts]).any(0),
            torch.stack([part.columns for part in parts]).any(0),
        )

    def _through(self, step: Step, i: int, support: Support) -> Support:
        """Support at the step's output of an indicator with this support at its i-th source."""
        size = self.sizes[step][1:]
        before = (support.rows.shape[1], support.columns.shape[1])
        operation = step.operation
        if len(size) != 2:  # no longer an image: every position by itself
            return Support(torch.ones(self.grid[0], 1).bool(), torch.ones(self.grid[1], 1).bool())
        layer = operation.paths[i] if isinstance(operation, Affine) else None
        if isinstance(layer, ConvLayer):
            reached = [_convolution_reach(layer, axis, before, size[axis]) for axis in (0, 1)]
        elif isinstance(operation, MaxPool | AveragePool):
            reached = [_pooling_reach(operation, axis, before) for axis in (0, 1)]
        elif isinstance(operation, Affine | Fixed) or before != size:
            reached = [torch.ones(before[axis], size[axis]) for axis in (0, 1)]
        else:
            return support
        return Support(
            support.rows.float() @ reached[0] > 0, support.columns.float() @ reached[1] > 0
        )


def _convolution_reach(layer: ConvLayer, axis: int, size: Sequence[int], outputs: int) -> Tensor:
    """``(in, out)``: which outputs an input row (or column) takes part in."""
    before, _ = layer.margins(size)
    taps = torch.arange(outputs)[:, None] * layer.stride[axis] - before[axis]
    taps = taps + torch.arange(layer.kernel[axis]) * layer.dilation[axis]
    return (taps.unsqueeze(0) == torch.arange(size[axis])[:, None, None]).any(2).float()


def _pooling_reach(operation: MaxPool | AveragePool, axis: int, size: Sequence[int]) -> Tensor:
    lines = torch.eye(size[axis])
    images = (
        lines[:, :, None].expand(-1, -1, size[1])
        if axis == 0
        else lines[:, None, :].expand(-1, size[0], -1)
    )
    pooled = operation.forward(images.unsqueeze(1))[:, 0]
    return (pooled.amax(2 - axis) > 0).float()


def build_operator(geometry: Geometry, run: Run, features: Step) -> Tensor:
    """``(N, F, h*w)``: the operator weighted with the features' excitations, ``E * T``."""
    bands = [_band(geometry, run, features, rows) for rows in geometry.tiles()]
    return torch.cat(bands, 1).mT


def _band(geometry: Geometry, run: Run, features: Step, rows: slice) -> Tensor:
    supports = {step: support.of_rows(rows) for step, support in geometry.supports.items()}
    images = len(run.output)
    height, width = len(range(*rows.indices(geometry.grid[0]))), geometry.grid[1]
    signals: dict[Step, tuple[Tensor, Period]] = {}
    for end in geometry.plan.ends:
        mask = supports[end].rows.any(0).to(run.output)
        signals[end] = run.excitations[end] * mask.view(-1, 1), (1, 1)
    uses = {step: sum(user.sources.count(step) for user in geometry.steps) for step in supports}
    for step in geometry.steps:
        period = supports[step].period if len(geometry.sizes[step]) == 3 else (height, width)
        inputs: list[Tensor | None] = []
        for source in step.sources:
            if source not in signals:
                inputs.append(None)
                continue
            signal, old = signals[source]
            inputs.append(recolour(signal, images, supports[source], old, period))
            uses[source] -= 1
            if not uses[source] and source is not features:
                del signals[source]
        signals[step] = run.links[step].up(inputs), period
    signal, old = signals[features]
    if old != (height, width):
        signal = recolour(signal, images, supports[features], old, (height, width))
    return signal.reshape(images, height * width, -1)


def recolour(signal: Tensor, images: int, support: Support, old: Period, new: Period) -> Tensor:
    """Spread the indicators of ``(N*old colours, C, H, W)`` over more colours, else zeros."""
    if old == new:
        return signal
    if signal.ndim != 4:
        raise AssertionError("only images are coloured")
    rows, columns = _owners(support.rows, new[0]), _owners(support.columns, new[1])
    _, channels, height, width = signal.shape
    colour = (rows % old[0])[:, None, :, None] * old[1] + (columns % old[1])[None, :, None, :]
    cell = (colour * height + torch.arange(height)[:, None]) * width + torch.arange(width)
    owned = (rows >= 0)[:, None, :, None] & (columns >= 0)[None, :, None, :]
    cell = torch.where(owned, cell, 0).flatten().to(signal.device)
    nobodys = (~owned).flatten().nonzero().flatten().to(signal.device)
    cells = signal.permute(0, 2, 3, 1).reshape(images, -1, channels)
    spread = cells.index_select(1, cell).index_fill_(1, nobodys, 0)
    return spread.view(-1, height, width, channels).permute(0, 3, 1, 2)


def _owners(spread: Tensor, period: int) -> Tensor:
    """``(period, H)``: the target row of each colour whose support holds a row, else -1."""
    owners = torch.full((period, spread.shape[1]), -1)
    for row in range(len(spread)):
        owners[row % period, spread[row]] = row
    return owners


def box_coverage(boxes: Tensor, size: Sequence[int], grid: Sequence[int]) -> Tensor:
    """Share of each cell's area inside ``(..., 4)`` boxes in pixels: ``(..., h, w)`` in [0, 1]."""

    def along(low: Tensor, high: Tensor, pixels: int, cells: int) -> Tensor:
        edges = torch.linspace(0, pixels, cells + 1, device=boxes.device, dtype=boxes.dtype)
        overlap = torch.minimum(high[..., None], edges[1:]) - torch.maximum(
            low[..., None], edges[:-1]
        )
        return overlap.clamp(min=0) * (cells / pixels)

    rows = along(boxes[..., 1], boxes[..., 3], size[0], grid[0])
    columns = along(boxes[..., 0], boxes[..., 2], size[1], grid[1])
    return rows[..., :, None] * columns[..., None, :]
