"""What one forward pass can be asked: maps of words, lost mass, boxes to words."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from .chain import downward, one_hot, upward, winners
from .layers import exact
from .links import share
from .operator import Geometry, box_coverage, build_operator
from .plan import Plan, Run
from .top import Top, Words
from .trace import UnsupportedOperation

_ANSWERED_TOGETHER = (
    512  # words of one product with the operator: their rows fit a processor's cache
)


class State:
    """The excitations of a batch of images, made by `ExcitationBackprop`; answers any queries.

    *Words* in every query are class indices (a list or a ``(K,)`` integer tensor), or priors over
    the classes: a float tensor ``(K, M)``, or ``(N, K, M)`` with priors of each image's own;
    entries >= 0, rows summing to one.
    """

    def __init__(self, plan: Plan, run: Run, size: tuple[int, int], chunk: int) -> None:
        self._top = Top(plan, run)
        self._plan, self._run, self._size, self._chunk = plan, run, size, chunk
        self._answers_of_positions: Tensor | None = (
            None  # the operator, weighted with the features' excitation
        )
        self._geometry: Geometry | None = None
        end = run.excitations[plan.ends[0]]
        if end.ndim != 4:
            raise UnsupportedOperation(
                f"target {plan.target!r} has no rows and columns, its shape is {tuple(end.shape)}; "
                "choose a layer with a grid"
            )
        self.grid: tuple[int, int] = (end.shape[2], end.shape[3])

    @property
    def logits(self) -> Tensor:
        """Class scores ``(N, M)`` as the model gives them."""
        return self._run.output

    @exact
    def mwp(self, words: Words) -> Tensor:
        """Marginal winning probability maps ``(N, K, h, w)``, summed over the target's channels.

        Each map is >= 0 and sums to one, less the word's `leak`.
        """
        return self._maps(words, contrastive=False)

    @exact
    def cmwp(self, words: Words, clamp: bool = True) -> Tensor:
        """Contrastive MWP maps ``(N, K, h, w)``: a word's signal minus its dual's (weights ``-W``).

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

    @exact
    def wta(self, words: Words) -> Tensor:
        """Deterministic winner-take-all ``(N, K, h, w)``: the strongest child alone wins each step.

        A word of one class ends in one cell of value 1 (none, if its path dies); a prior in a cell
        for each of its classes, of that class's weight.
        """
        words = self._top.checked(words)
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

    @exact
    def leak(self, words: Words) -> Tensor:
        """Mass ``(N, K)`` of each word's MWP, in [0, 1], that did not reach the target.

        It died at neurons without excitatory input (or went round a target that not all signal
        passes).
        """
        kept = upward(
            self._plan, self._run, {end: self._run.excitations[end] for end in self._plan.ends}, 1
        )
        kept = self._answers(self._top.checked(words), kept, contrastive=False).squeeze(2)
        return (1 - kept).clamp(0, 1)

    @exact
    def operator(self) -> Tensor:
        """Return ``T`` ``(N, F, h*w)``: where a unit of mass at each classifier input ends.

        Built once for a state, by the adjoint with coloured indicators (see `excitation.operator`).
        """
        return share(self._positions(), self._top.excitations.unsqueeze(2))

    @exact
    def boxes_to_words(self, boxes: Tensor, contrastive: bool = True) -> Tensor:
        """In-box attention of **every** word, ``(N, B, M)``: one upward signal for each box.

        Exact for MWP and for the *unclamped* c-MWP (the sum of a clamped map over a box is not
        linear in the box).

        Parameters
        ----------
        boxes
            ``(N, B, 4)``, or ``(B, 4)`` for all images: x1, y1, x2, y2 in pixels of the input
            images, half-open. A cell of the grid counts with the share of its area that the box
            covers.
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
        if not boxes.shape[-2]:
            return self.logits.new_zeros(images, 0, self.logits.shape[1])
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
        return upward(self._plan, self._run, asked, boxes.shape[1])

    def _maps(self, words: Words, contrastive: bool) -> Tensor:
        words = self._top.checked(words)
        count = len(words) if words.ndim == 1 else words.shape[1]
        if not count:
            return self.logits.new_zeros(len(self.logits), 0, *self.grid)
        if self._worth_an_operator(count):
            return self._answers(words, self._positions(), contrastive).unflatten(2, self.grid)
        size = self._words_per_chunk()
        return torch.cat(
            [
                downward(self._plan, self._run, self._top.seeds(w, contrastive))
                for w in _chunks(words, size)
            ],
            1,
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

    def _answers(self, words: Tensor, answers: Tensor, contrastive: bool) -> Tensor:
        """Words' signals times the classifier input's answers ``(N, F, Q)``: ``(N, K, Q)``."""
        products = [
            self._top.seeds(chunk, contrastive).flatten(2) @ answers
            for chunk in _chunks(words, _ANSWERED_TOGETHER)
        ]
        return torch.cat(products, 1)

    def _winners(self, classes: Tensor) -> Tensor:
        """One-hot maps ``(N, K, h, w)``: the end of the strongest path of each class."""
        images, plan = len(self.logits), self._plan
        if not len(classes):
            return self.logits.new_zeros(images, 0, *self.grid)
        if plan.linear_head is not None:
            mass = self._top.seeds(classes, contrastive=False) * self._top.excitations.unsqueeze(1)
            shape = self._run.excitations[plan.features].shape[1:]
            start = {plan.features: one_hot(mass.flatten(0, 1)).unflatten(1, shape)}
        else:
            every = F.one_hot(classes, self.logits.shape[1]).to(self.logits)
            start = {plan.output: every.repeat(images, 1)}
        return winners(plan, self._run, start).unflatten(0, (images, len(classes)))


def _chunks(words: Tensor, size: int) -> Iterator[Tensor]:
    """Slices of indices ``(K,)`` or priors ``(N, K, M)`` along the words."""
    return iter(words.split(size, 0 if words.ndim == 1 else 1))
