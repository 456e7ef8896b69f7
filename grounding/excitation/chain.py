"""The chain between the classifier's input and the target: signals down, questions up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .build import Step
from .plan import Plan, Run


def walk(
    plan: Plan, run: Run, signals: dict[Step, Tensor], steps: Sequence[Step]
) -> dict[Step, Tensor]:
    """Run potentials down through `steps`; what arrived below them."""
    owned: set[Step] = set()  # sums in memory of their own
    for step in reversed(steps):
        if step not in signals:
            continue
        z = signals.pop(step)
        sums = [signals[source] if source in owned else None for source in step.sources]
        parts, fresh = run.links[step].down_onto(z, sums)
        for source, part, onto in zip(step.sources, parts, sums, strict=True):
            if source not in plan.carriers:
                continue
            if source in signals and onto is None:
                part = signals[source] + part
                owned.add(source)
            elif fresh:
                owned.add(source)
            signals[source] = part
    return signals


def downward(plan: Plan, run: Run, seeds: Tensor) -> Tensor:
    """Maps ``(N, K, h, w)`` of potentials ``(N, K, *features)`` at the classifier's input."""
    arrived = walk(plan, run, {plan.features: seeds.flatten(0, 1)}, plan.below_classifier)
    maps = [
        torch.einsum(
            "nkchw,nchw->nkhw", arrived[end].unflatten(0, seeds.shape[:2]), run.excitations[end]
        )
        for end in plan.ends
        if end in arrived
    ]
    return sum(maps[1:], maps[0])


def upward(plan: Plan, run: Run, asked: dict[Step, Tensor], questions: int) -> Tensor:
    """Weighted answers ``(N, F, Q)`` at the classifier's input to questions ``(N*Q, C, h, w)``."""
    for step in plan.below_classifier:
        inputs = [asked.get(source) for source in step.sources]
        if any(v is not None for v in inputs):
            asked[step] = run.links[step].up(inputs)
    return asked[plan.features].reshape(len(run.output), questions, -1).mT


def winners(plan: Plan, run: Run, signals: dict[Step, Tensor]) -> Tensor:
    """Maps ``(N*K, h, w)``: where the strongest paths from the one-hot `signals` end."""
    for step in reversed(plan.path):
        if step in signals:
            _strongest_children(plan, run, step, signals)
    maps = [signals[end].sum(1) for end in plan.ends if end in signals]
    return sum(maps[1:], maps[0])


def _strongest_children(plan: Plan, run: Run, step: Step, signals: dict[Step, Tensor]) -> None:
    """Replace the winners of a step by the strongest child of each."""
    parts = run.links[step].down(signals.pop(step))
    words = len(parts[0]) // len(run.output)
    shares = [
        part * run.excitations[source].repeat_interleave(words, 0)
        for source, part in zip(step.sources, parts, strict=True)
    ]
    strongest = one_hot(torch.cat([mass.flatten(1) for mass in shares], 1))
    pieces = strongest.split([mass[0].numel() for mass in shares], 1)
    for source, piece, mass in zip(step.sources, pieces, shares, strict=True):
        if source in plan.carriers:
            piece = piece.view(mass.shape)
            signals[source] = signals[source] + piece if source in signals else piece


def one_hot(mass: Tensor) -> Tensor:
    """1 at the largest positive entry of each row of ``(B, F)``, the first on ties, else 0."""
    value, index = mass.max(1, keepdim=True)
    return torch.zeros_like(mass).scatter_(1, index, (value > 0).to(mass.dtype))
