"""Classes of a dataset as words of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_prep.errors import UserError
from data_prep.text import normalise
from data_prep.vocabulary import Vocabulary
from grounding.words import WordMatch, resolve


def class_words(
    labels: Sequence[str], vocabulary: Vocabulary, renamed: Mapping[str, str]
) -> tuple[dict[str, WordMatch], tuple[str, ...]]:
    """Find the classes of a classifier that each class of a dataset stands for.

    Where the labels name all outputs of the classifier, one after the other, each is the output in
    its place, whatever else its word may mean: of ImageNet's classes crane is both a bird and a
    machine, and a tank covers other classes. Otherwise a label is looked up as a word is.

    Parameters
    ----------
    labels : sequence of str
        Classes as the dataset writes them; of several with one name each has something in
        parentheses behind it.
    vocabulary : Vocabulary
        Of the classifier.
    renamed : mapping of str to str
        Labels that the classifier knows by another word: {"tvmonitor": "tv"}.

    Returns
    -------
    dict of str to WordMatch
        Of the labels that the classifier knows, in their order; for those looked up see
        `grounding.words.resolve`.
    tuple of str
        The others: unknown, or too general to point at.

    Raises
    ------
    UserError
        A renamed label is none of the labels, its word is unknown, or no label is known.
    """
    if stray := [label for label in renamed if label not in labels]:
        raise UserError(
            f"classes.{stray[0]}: the dataset has no such class; it has {_some(labels)}"
        )
    found: dict[str, WordMatch] = {}
    absent = []
    in_place = _in_place(labels, vocabulary)
    for place, label in enumerate(labels):
        if in_place and label not in renamed:
            found[label] = WordMatch(label, (place,), vocabulary.names[place][:1], "exact")
            continue
        try:
            found[label] = resolve(renamed.get(label, label), vocabulary)
        except UserError as error:
            if label in renamed:
                raise UserError(f"classes.{label}={renamed[label]}: {error}") from error
            absent.append(label)
    if not found:
        raise UserError(
            f"the model knows none of the dataset's classes: {_some(labels)}; give a model of "
            "these, or name its words, as in 'classes={tvmonitor: tv}'"
        )
    return found, tuple(absent)


def _in_place(labels: Sequence[str], vocabulary: Vocabulary) -> bool:
    """Whether every output of the classifier has the name of the label in its place."""
    return len(labels) == len(vocabulary) and all(
        normalise(label.partition(" (")[0]) in names
        for label, names in zip(labels, vocabulary.names, strict=True)
    )


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:20])
    return f"{shown}, …" if len(labels) > 20 else shown
