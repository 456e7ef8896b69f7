"""What one forward pass can be asked: maps of words, lost mass, boxes to words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .build import Step
from .layers import LinearLayer
from .links import AffineLink, share
from .operations import Affine
from .operator import Geometry, box_coverage, build_operator
from .plan import Plan, Run

Words = Sequence[int] | Tensor

_ANSWERED_TOGETHER = (
    512  # words of one product with the operator: their rows fit a processor's cache
)


class State:
    """The excitations of a batch of images; made by `ExcitationBackprop`, answers any number of queries.

    *Words* in every query are class indices (a list or a ``(K,)`` integer tensor), or priors over the classes:
    a float tensor ``(K, M)``, or ``(N, K, M)`` with priors of each image's own; entries >= 0, rows summing to one.
    """

    def __init__(self, plan: Plan, run: Run, size: tuple[int, int], chunk: int) -> None:
        self._plan, self._run, self._size, self._chunk = plan, run, size, chunk
        self._answers_of_positions: Tensor | None = (
            None  # the operator, weighted with the features' excitation
        )
        self._geometry: Geometry | None = None
        self._dual: AffineLink | None = None
        end = run.excitations[plan.ends[0]]
        self.grid: tuple[int, int] = (end.shape[2], end.shape[3])

    @property
    def logits(self) -> Tensor:
        """Class scores ``(N, M)`` as the model gives them."""
        return self._run.output

    @torch.no_grad()
    def mwp(self, words: Words) -> Tensor:
        """Marginal winning probability maps ``(N, K, h, w)``, summed over the target's channels.

        Each map is >= 0 and sums to one, less the word's `leak`.
        """
        return self._maps(words, contrastive=False)

    @torch.no_grad()
    def cmwp(self, words: Words, clamp: bool = True) -> Tensor:
        """Contrastive MWP maps ``(N, K, h, w)``: the signal of a word minus that of its dual (weights ``-W``).

        The signed signal runs down once and is summed over channels before it is clamped at zero.

        Parameters
        ----------
        words
            Class indices or priors.
        clamp
            False gives the signed maps.
        """
        maps = self._maps(words, contrastive=True)
        return maps.clamp_(min=0) if clamp else maps

    @torch.no_grad()
    def wta(self, words: Words) -> Tensor:
        """Deterministic winner-take-all ``(N, K, h, w)``: only the strongest excitatory child wins at each step.

        A word of one class ends in one cell of value 1 (none, if its path dies); a prior in a cell for each of its
        classes, of that class's weight.
        """
        words = self._checked(words)
        if words.ndim == 1:
            return torch.cat(
                [self._winners(chunk) for chunk in words.split(self._words_per_chunk())], 1
            )
        classes = words.sum((0, 1)).nonzero().flatten()
        winners = torch.cat(
            [self._winners(chunk) for chunk in classes.split(self._words_per_chunk())], 1
        )
        return torch.einsum(
            "nkr,nrhw->nkhw", words[:, :, classes].expand(len(winners), -1, -1), winners
        )

    @torch.no_grad()
    def leak(self, words: Words) -> Tensor:
        """Mass ``(N, K)`` of each word's MWP, in [0, 1], that did not reach the target.

        It died at neurons without excitatory input (or went round a target that not all signal passes).
        """
        kept = self._upward({end: self._run.excitations[end] for end in self._plan.ends}, 1)
        kept = self._answers(self._checked(words), kept, contrastive=False).squeeze(2)
        return (1 - kept).clamp(0, 1)

    @torch.no_grad()
    def operator(self) -> Tensor:
        """The linear operator ``T`` ``(N, F, h*w)``: where a unit of mass at each classifier input ends.

        Built once for a state, by the adjoint with coloured indicators (see `excitation.operator`).
        """
        return share(self._positions(), self._features().unsqueeze(2))

    @torch.no_grad()
    def boxes_to_words(self, boxes: Tensor, contrastive: bool = True) -> Tensor:
        """In-box attention of **every** word, ``(N, B, M)``: one upward signal for each box.

        Exact for MWP and for the *unclamped* c-MWP (the sum of a clamped map over a box is not linear in the box).

        Parameters
        ----------
        boxes
            ``(N, B, 4)``, or ``(B, 4)`` for all images: x1, y1, x2, y2 in pixels of the input images, half-open. A cell
            of the grid counts with the share of its area that the box covers.
        contrastive
            False for MWP.

        Raises
        ------
        ValueError
            If the boxes have another shape.
        """
        images = len(self.logits)
        if (
            boxes.shape[-1] != 4
            or boxes.ndim not in (2, 3)
            or (boxes.ndim == 3 and len(boxes) != images)
        ):
            raise ValueError(f"boxes must be (B, 4) or ({images}, B, 4), got {tuple(boxes.shape)}")
        boxes = boxes.to(self.logits).expand(images, -1, -1)
        answers = [self._box_answers(chunk) for chunk in boxes.split(self._words_per_chunk(), 1)]
        every = torch.arange(self.logits.shape[1], device=self.logits.device)
        return self._answers(every, torch.cat(answers, 2), contrastive).mT

    def _box_answers(self, boxes: Tensor) -> Tensor:
        coverage = box_coverage(boxes, self._size, self.grid)  # (N, B, h, w)
        if self._answers_of_positions is not None:
            return self._answers_of_positions @ coverage.flatten(2).mT
        asked = {
            end: (self._run.excitations[end].unsqueeze(1) * coverage.unsqueeze(2)).flatten(0, 1)
            for end in self._plan.ends
        }
        return self._upward(asked, boxes.shape[1])

    def _maps(self, words: Words, contrastive: bool) -> Tensor:
        words = self._checked(words)
        count = len(words) if words.ndim == 1 else words.shape[1]
        if self._worth_an_operator(count):
            return self._answers(words, self._positions(), contrastive).unflatten(2, self.grid)
        size = self._words_per_chunk()
        return torch.cat(
            [self._downward(self._seeds(w, contrastive)) for w in _chunks(words, size)], 1
        )

    def _worth_an_operator(self, count: int) -> bool:
        """Whether these words cost more, one by one, than the operator for all words."""
        if self._answers_of_positions is not None:
            return True
        if count <= self._words_per_chunk():
            return False
        geometry = self._get_geometry()
        return count * geometry.cost_per_word() > geometry.cost_of_operator()

    def _words_per_chunk(self) -> int:
        return max(1, self._chunk // len(self.logits))

    def _get_geometry(self) -> Geometry:
        if self._geometry is None:
            self._geometry = Geometry(self._plan, self._run, self.grid)
        return self._geometry

    def _positions(self) -> Tensor:
        if self._answers_of_positions is None:
            self._answers_of_positions = build_operator(
                self._get_geometry(), self._run, self._plan.features
            )
        return self._answers_of_positions

    def _features(self) -> Tensor:
        return self._run.excitations[self._plan.features].flatten(1)

    def _answers(self, words: Tensor, answers: Tensor, contrastive: bool) -> Tensor:
        """``(N, K, Q)``: the words' signals at the classifier's input against ``(N, F, Q)`` weighted answers there."""
        products = [
            self._seeds(chunk, contrastive).flatten(2) @ answers
            for chunk in _chunks(words, _ANSWERED_TOGETHER)
        ]
        return torch.cat(products, 1)

    # -- the top: from words to potentials at the classifier's input ---------------------------------------------------

    def _checked(self, words: Words) -> Tensor:
        """Indices ``(K,)`` or priors ``(N or 1, K, M)`` on the model's device."""
        classes = self.logits.shape[1]
        words = torch.as_tensor(words, device=self.logits.device)
        if words.ndim == 1 and (not words.is_floating_point() or not len(words)):
            words = words.long()
            if len(words) and not 0 <= int(words.min()) <= int(words.max()) < classes:
                raise ValueError(
                    f"class indices must be in 0…{classes - 1}, got {int(words.min())}…{int(words.max())}"
                )
            return words
        priors = words.to(self.logits.dtype)
        priors = priors.unsqueeze(0) if priors.ndim == 2 else priors
        if (
            priors.ndim != 3
            or priors.shape[2] != classes
            or len(priors) not in (1, len(self.logits))
        ):
            raise ValueError(
                f"words must be class indices (K,) or priors (K, {classes}), got {tuple(words.shape)}"
            )
        if not bool((priors >= 0).all()):
            raise ValueError("a prior must be >= 0 and finite for every class")
        return priors

    def _seeds(self, words: Tensor, contrastive: bool) -> Tensor:
        """Potentials ``(N, K, *features)`` at the classifier's input."""
        if self._plan.linear_head is not None:
            return self._row_seeds(self._plan.linear_head, words, contrastive)
        signal = self._top_signal(words)
        link = self._run.links[self._plan.classifier]
        assert isinstance(link, AffineLink)
        (z,) = link.down(signal)
        if contrastive:
            z = z - self._dual_link(link).down(signal)[0]
        return z.unflatten(0, (len(self.logits), -1))

    def _row_seeds(self, layer: LinearLayer, words: Tensor, contrastive: bool) -> Tensor:
        """Only the rows of the asked classes are read: a vocabulary's whole weights are never copied."""
        weights = None
        if words.ndim == 3:
            classes = words.sum((0, 1)).nonzero().flatten()
            words, weights = classes, words[:, :, classes]
        rows = layer.weight[words]
        z = self._share_out(rows.clamp(min=0), weights)
        return z - self._share_out((-rows).clamp(min=0), weights) if contrastive else z

    def _share_out(self, rows: Tensor, weights: Tensor | None) -> Tensor:
        totals = self._features() @ rows.T  # (N, R)
        inverse = share(torch.ones_like(totals), totals)
        if weights is None:
            return rows * inverse.unsqueeze(2)
        return (weights * inverse.unsqueeze(1)) @ rows

    def _top_signal(self, words: Tensor) -> Tensor:
        """Potentials at the classifier's output, for nets that pool after it."""
        images, classes = self.logits.shape
        if words.ndim == 1:
            words = torch.nn.functional.one_hot(words, classes).to(self.logits).unsqueeze(0)
        priors = words.expand(images, -1, -1).flatten(0, 1)
        excited = self._run.excitations[self._plan.output].repeat_interleave(
            len(priors) // images, 0
        )
        signals = {self._plan.output: share(priors, excited)}
        return self._walk(signals, self._plan.above_classifier)[self._plan.classifier]

    def _dual_link(self, link: AffineLink) -> AffineLink:
        if self._dual is None:
            operation = self._plan.classifier.operation
            assert isinstance(operation, Affine)
            dual = operation.layer.inhibitory()
            before = self._run.excitations[self._plan.features]
            excited = self._run.excitations[self._plan.classifier]
            self._dual = AffineLink([dual], link.sizes, share(excited, dual.apply(before)))
        return self._dual

    # -- the chain between the classifier's input and the target -------------------------------------------------------

    def _downward(self, seeds: Tensor) -> Tensor:
        """Maps ``(N, K, h, w)`` of potentials ``(N, K, *features)``."""
        arrived = self._walk(
            {self._plan.features: seeds.flatten(0, 1)}, self._plan.below_classifier
        )
        maps = seeds.new_zeros(*seeds.shape[:2], *self.grid)
        for end in self._plan.ends:
            if end in arrived:
                z = arrived[end].unflatten(0, seeds.shape[:2])
                maps += torch.einsum("nkchw,nchw->nkhw", z, self._run.excitations[end])
        return maps

    def _walk(self, signals: dict[Step, Tensor], steps: Sequence[Step]) -> dict[Step, Tensor]:
        """Run signals down through `steps`; what arrived below them."""
        owned: set[Step] = set()  # sums in memory of their own
        for step in reversed(steps):
            if step not in signals:
                continue
            z = signals.pop(step)
            sums = [signals[source] if source in owned else None for source in step.sources]
            parts, fresh = self._run.links[step].down_onto(z, sums)
            for source, part in zip(step.sources, parts, strict=True):
                if source not in self._plan.carriers:
                    continue
                if source in signals and source not in owned:
                    part = signals[source] + part
                    owned.add(source)
                elif fresh:
                    owned.add(source)
                signals[source] = part
        return signals

    def _upward(self, asked: dict[Step, Tensor], questions: int) -> Tensor:
        """``(N, F, Q)`` weighted answers at the classifier's input to ``(N*Q, C, h, w)`` weighted questions."""
        for step in self._plan.below_classifier:
            inputs = [asked.get(source) for source in step.sources]
            if any(v is not None for v in inputs):
                asked[step] = self._run.links[step].up(inputs)
        return asked[self._plan.features].reshape(len(self.logits), questions, -1).mT

    # -- deterministic winner-take-all ---------------------------------------------------------------------------------

    def _winners(self, classes: Tensor) -> Tensor:
        """One-hot maps ``(N, K, h, w)``: the end of the strongest path of each class."""
        images, count = len(self.logits), len(classes)
        signals = {}
        if self._plan.linear_head is not None:
            seeds = self._seeds(classes, contrastive=False) * self._features().unsqueeze(1)
            shape = self._run.excitations[self._plan.features].shape[1:]
            signals[self._plan.features] = _one_hot(seeds.flatten(0, 1)).unflatten(1, shape)
        else:
            every = torch.nn.functional.one_hot(classes, self.logits.shape[1]).to(self.logits)
            signals[self._plan.output] = every.repeat(images, 1)
        for step in reversed(self._plan.path):
            if step in signals:
                self._strongest_children(step, signals)
        maps = self.logits.new_zeros(images, count, *self.grid)
        for end in self._plan.ends:
            if end in signals:
                maps += signals[end].sum(1).unflatten(0, (images, count))
        return maps

    def _strongest_children(self, step: Step, signals: dict[Step, Tensor]) -> None:
        """Replace the winners of a step by the strongest child of each."""
        parts = self._run.links[step].down(signals.pop(step))
        words = len(parts[0]) // len(self.logits)
        shares = [
            part * self._run.excitations[source].repeat_interleave(words, 0)
            for source, part in zip(step.sources, parts, strict=True)
        ]
        winners = _one_hot(torch.cat([mass.flatten(1) for mass in shares], 1))
        pieces = winners.split([mass[0].numel() for mass in shares], 1)
        for source, piece, mass in zip(step.sources, pieces, shares, strict=True):
            if source in self._plan.carriers:
                piece = piece.view(mass.shape)
                signals[source] = signals[source] + piece if source in signals else piece


def _one_hot(mass: Tensor) -> Tensor:
    """``(B, F)``: 1 at the largest positive entry of each row (the first on ties); rows without one stay zero."""
    value, index = mass.max(1, keepdim=True)
    return torch.zeros_like(mass).scatter_(1, index, (value > 0).to(mass.dtype))


def _chunks(words: Tensor, size: int) -> Iterator[Tensor]:
    """Slices of indices ``(K,)`` or priors ``(N, K, M)`` along the words."""
    return iter(words.split(size, 0 if words.ndim == 1 else 1))
