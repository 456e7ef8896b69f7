"""From a classifier's logits to what is asked of it: words' probabilities and priors."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from grounding.words import WordMatch


def scores_and_priors(
    logits: Tensor, matches: Sequence[WordMatch], multi_label: bool
) -> tuple[list[float], Tensor]:
    """Give the probability of each word, and its prior over the classes, (K, M).

    Parameters
    ----------
    logits : Tensor (M,)
        Of one photo.
    matches : sequence of K WordMatch
        Words as classes.
    multi_label : bool
        Probabilities by a sigmoid per class; otherwise by a softmax over the classes.

    Returns
    -------
    list of K float
        Sum of the probabilities of a word's classes; multi-label: the largest.
    Tensor (K, M)
        ≥ 0, in proportion to the probabilities of a word's classes; rows sum to 1.
    """
    log_probabilities = (
        functional.logsigmoid(logits) if multi_label else functional.log_softmax(logits, dim=0)
    )
    priors = logits.new_zeros(len(matches), len(logits))
    scores = []
    for prior, match in zip(priors, matches, strict=True):
        classes = list(match.classes)
        own = log_probabilities[classes]
        prior[classes] = own.softmax(0)
        scores.append(float((own.max() if multi_label else own.logsumexp(0)).exp().clamp(max=1)))
    return scores, priors
