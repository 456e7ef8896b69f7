"""The head noun of a noun phrase: what the phrase is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.word_classes import PARTS_OF_SPEECH

# Nouns that only count, arrange or cut out what follows "of": a group of people.
MEASURES = frozenset(
    {
        "array", "assortment", "back", "batch", "bit", "body", "bottom", "bunch", "bundle", "chunk",
        "clump", "cluster", "collection", "corner", "couple", "couples", "crowd", "crowds", "dozen",
        "dozens", "edge", "end", "flock", "front", "gang", "gathering", "group", "groups", "half",
        "handful", "herd", "hundreds", "kind", "kinds", "length", "line", "lines", "lot", "lots",
        "majority", "mass", "middle", "mixture", "number", "pack", "pair", "pairs", "part", "patch",
        "patches", "piece", "pieces", "pile", "piles", "plenty", "portion", "range", "rest", "row",
        "rows", "section", "selection", "series", "set", "sets", "sheet", "side", "slab", "slice",
        "slices", "sort", "sorts", "stack", "stacks", "stretch", "strip", "style", "team", "top",
        "trio", "type", "types", "variety",
    }
)  # fmt: skip

# A noun phrase about them begins anew: a preposition or a relative pronoun.
ENDS = frozenset(
    {
        "about", "above", "across", "after", "against", "along", "alongside", "amid", "among",
        "amongst", "around", "as", "at", "atop", "before", "behind", "below", "beneath", "beside",
        "between", "by", "down", "during", "for", "from", "in", "inside", "into", "like", "near",
        "off", "on", "onto", "out", "outside", "over", "past", "that", "through", "to", "toward",
        "towards", "under", "underneath", "up", "upon", "which", "while", "who", "whom", "whose",
        "with", "within", "without",
    }
)  # fmt: skip

# Pronouns that can be what a phrase is about, and the noun nearest to each; "" for a thing.
PRONOUNS = {
    "he": "man", "him": "man", "himself": "man",
    "she": "woman", "her": "woman", "herself": "woman",
    "they": "people", "them": "people", "themselves": "people", "everybody": "people",
    "everyone": "people", "others": "people",
    "anybody": "person", "anyone": "person", "somebody": "person", "someone": "person",
    "who": "person", "whom": "person",
    "another": "", "it": "", "itself": "", "one": "", "something": "",
}  # fmt: skip

NOUN = PARTS_OF_SPEECH["noun"] | {"NN2"}
ADJECTIVE = PARTS_OF_SPEECH["adjective"]
FINITE = frozenset({"VVB", "VVI", "VVZ"})
CONTENT = NOUN | ADJECTIVE | PARTS_OF_SPEECH["verb"]


@dataclass(frozen=True)
class Token:
    """A word or a punctuation mark of a caption.

    Attributes
    ----------
    text : str
        Normalised.
    start, end : int
        Its place in the caption, in characters, half-open.
    lemma, word_class : str
        As `data_prep.word_classes` gives them.
    """

    text: str
    start: int
    end: int
    lemma: str
    word_class: str

    @property
    def is_word(self) -> bool:
        return any(character.isalnum() for character in self.text)


def head_position(tokens: Sequence[Token]) -> int | None:
    """Find the head of a noun phrase: the last noun of its first noun group, or its pronoun.

    The group ends at a preposition, a relative pronoun, a conjunction, a comma or a participle
    clause: a [man] in a red shirt. After a possessor comes what it has (a boy's [face]); after a
    noun that measures, what it measures (a group of [people]). Without any noun the last adjective
    or verb of the group is taken, for taggers err.

    Parameters
    ----------
    tokens : sequence of Token
        The phrase.

    Returns
    -------
    int or None
        Index of the head; None where no word can be one.
    """
    head: int | None = None
    spare: int | None = None  # taken if no noun follows
    for i, token in enumerate(tokens):
        after = tokens[i + 1] if i + 1 < len(tokens) else None
        if _is_noun(token, after, tokens[i - 1] if i else None):
            head = i
        elif head is None:
            if spare is None and _is_pronoun(token, after):
                return i
            if token.text in ENDS and (i or after is None):
                break
            if token.word_class in CONTENT and _spare_allowed(tokens, spare):
                spare = i
        elif token.text == "'s" or (token.text == "of" and tokens[head].text in MEASURES):
            head, spare = None, head
        elif not _goes_on(token, after):
            break
    return spare if head is None else head


def _spare_allowed(tokens: Sequence[Token], spare: int | None) -> bool:
    return spare is None or tokens[spare].word_class not in NOUN


def _is_noun(token: Token, after: Token | None, before: Token | None) -> bool:
    if not token.is_word:
        return False
    # A noun phrase ends in no finite verb: the tagger took a noun for one (her pink dress).
    return token.word_class in NOUN or (
        token.word_class in FINITE and after is None and before is not None
    )


def _is_pronoun(token: Token, after: Token | None) -> bool:
    """Whether a word stands for a noun here, and not before one as in her hat, one man."""
    if token.text not in PRONOUNS:
        return False
    return (
        after is None
        or not after.is_word
        or after.text in ENDS
        or (after.word_class in {"VVG", "VVN", "VVD"} and token.text != "her")
    )


def _goes_on(token: Token, after: Token | None) -> bool:
    """Whether a noun group with a noun goes on: a tree lined street, number 5 jersey."""
    if token.word_class in ADJECTIVE or token.text.isdecimal():
        return True
    next_class = after.word_class if after else ""
    return token.word_class in {"VVN", "VVD"} and next_class in NOUN | ADJECTIVE
