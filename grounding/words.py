"""From the words of a person to the classes of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from data_prep.errors import UserError
from data_prep.text import normalise, singular, tokens
from data_prep.vocabulary import Vocabulary

TOO_GENERAL = 0.5  # share of the classes; object, artifact, entity … are above it
LONGEST_ENTRY = 4  # tokens of a compound looked for in a caption
# Names of classes that a caption hardly ever means by these words.
NOT_NAMES = frozenset({"can", "fly", "flies", "watch", "watches", "pick", "picks"})

How = Literal["exact", "lemma", "hypernym"]


@dataclass(frozen=True)
class WordMatch:
    """The classes that a word stands for.

    Attributes
    ----------
    word : str
        As the person wrote it.
    classes : tuple of int
        Class indices, ascending. More than one for a name that classes share (crane) and for a
        general word (dog).
    names : tuple of str
        Their primary names.
    how : str
        "exact": it names a class as written; "lemma": its singular does (cranes);
        "hypernym": it covers classes (animals). A word that both names one class and covers
        others stands for all of them, and counts as "exact" or "lemma".
    """

    word: str
    classes: tuple[int, ...]
    names: tuple[str, ...]
    how: How


def resolve(word: str, vocabulary: Vocabulary) -> WordMatch:
    """Find the classes of a word.

    The word as written comes before its singular, so that shorts and glasses stay what
    they are in a vocabulary that has them.

    Raises
    ------
    UserError
        The vocabulary does not know the word (the message names the nearest ones), or the word
        covers more than half of the classes, so that a map of it would say nothing.
    """
    match = lookup(word, vocabulary)
    if match is None:
        nearest = ", ".join(vocabulary.nearest(word)) or "none"
        raise UserError(f"word {word!r} is not in the vocabulary; nearest words: {nearest}")
    if _too_general(match, vocabulary):
        raise UserError(
            f"word {word!r} covers {len(match.classes)} of the {len(vocabulary)} classes, "
            "too many to point at; use a more specific word"
        )
    return match


def lookup(word: str, vocabulary: Vocabulary, lemma: str = "") -> WordMatch | None:
    """Find the classes of a word as written, else of its singular, else of a lemma given."""
    written = normalise(word)
    forms: list[tuple[str, How]] = [
        (written, "exact"), (singular(written), "lemma"), (normalise(lemma), "lemma"),
    ]  # fmt: skip
    for form, how in forms:
        named = vocabulary.by_name.get(form, ())
        covered = vocabulary.by_hypernym.get(form, ())
        if named or covered:
            classes = tuple(sorted({*named, *covered}))
            names = tuple(vocabulary.names[index][0] for index in classes)
            return WordMatch(word, classes, names, how if named else "hypernym")
    return None


def _too_general(match: WordMatch, vocabulary: Vocabulary) -> bool:
    return match.how == "hypernym" and len(match.classes) > TOO_GENERAL * len(vocabulary)


def pointable(word: str, vocabulary: Vocabulary, lemma: str = "") -> WordMatch | None:
    """`lookup` of a caption's word: none for one too general to point at or in NOT_NAMES."""
    match = None if word in NOT_NAMES else lookup(word, vocabulary, lemma)
    return None if match is None or _too_general(match, vocabulary) else match


def longest_entry(words: Sequence[str], vocabulary: Vocabulary) -> tuple[int, WordMatch | None]:
    """Find the longest entry that the first words make: its number of words and its match.

    At most four words; 0 and None where they start no entry. A separate 's joins its word
    (potter's wheel), but ends no entry.
    """
    for length in range(min(len(words), LONGEST_ENTRY), 0, -1):
        if words[length - 1] == "'s":
            continue
        match = pointable(" ".join(words[:length]).replace(" 's", "'s"), vocabulary)
        if match is not None:
            return length, match
    return 0, None


def caption_words(caption: str, vocabulary: Vocabulary) -> list[str]:
    """Find the vocabulary words of a caption, in its order and without repeats.

    Compounds come first, the longest first (hot dog, not dog), then single words; each as
    `resolve` would find it. Words too general to point at are passed over, and so are a few that
    captions use as verbs (NOT_NAMES).

    >>> caption_words("Two dogs and a fire engine by some dogs", Vocabulary.imagenet())
    ['dogs', 'fire engine']
    """
    words = tokens(caption)
    found: list[str] = []
    start = 0
    while start < len(words):
        length, match = longest_entry(words[start : start + LONGEST_ENTRY], vocabulary)
        if match is not None:
            found.append(match.word)
        start += max(length, 1)
    return list(dict.fromkeys(found))
