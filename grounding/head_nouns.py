"""The head noun of a noun phrase: what the phrase is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_prep.captions import NO_NOUNS
from data_prep.word_classes import PARTS_OF_SPEECH, PLURAL

# Nouns that only count, arrange, cut out or depict what follows "of": a group of people.
MEASURES = frozenset(
    {
        "amount", "amounts", "armful", "array", "assortment", "back", "batch", "bit", "body",
        "bottom", "breed", "breeds", "bunch", "bunches", "bundle", "chunk", "close-up", "closeup",
        "clump", "cluster", "collection", "corner", "corners", "couple", "couples", "crowd",
        "crowds", "dozen", "dozens", "edge", "edges", "end", "ends", "flock", "flocks", "front",
        "gang", "gathering", "group", "groups", "half", "handful", "herd", "herds", "hundreds",
        "image", "kind", "kinds", "length", "line", "lines", "loads", "lot", "lots", "majority",
        "mass", "masses", "middle", "mixture", "number", "pack", "pair", "pairs", "part", "parts",
        "patch", "patches", "photo", "picture", "piece", "pieces", "pile", "piles", "plenty",
        "portion", "profile", "range", "rest", "row", "rows", "section", "selection", "series",
        "set", "sets", "sheet", "side", "sides", "slab", "slice", "slices", "sort", "sorts",
        "stack", "stacks", "stretch", "strip", "style", "team", "teams", "top", "tops", "trio",
        "type", "types", "variety", "view",
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

NOUN = PARTS_OF_SPEECH["noun"] | {PLURAL}
# They begin a participle clause after a noun (a man standing), though taggers err.
CLAUSES = frozenset(word for word in NO_NOUNS if word.endswith("ing")) - {"crossing", "looking"}
ARTICLES = frozenset({"a", "an", "the"})
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
        if head is not None and token.text in CLAUSES:
            break
        before = tokens[i - 1] if i else None
        after = tokens[i + 1] if i + 1 < len(tokens) else None
        if _is_noun(token, before, after, plural=head is not None and _plural(tokens[head])):
            head = i
        elif head is None:
            if _is_pronoun(token, after):
                return i
            if token.text in ENDS and before is not None and before.text not in ARTICLES:
                break
            if token.word_class in CONTENT and (spare is None or not _measures(tokens[spare])):
                spare = i
        elif token.text in ("'s", "'") or (token.text == "of" and _measures(tokens[head])):
            head, spare = None, head
        elif not _goes_on(token, after):
            break
    return spare if head is None else head


def _plural(token: Token) -> bool:
    return token.word_class == PLURAL


def _measures(token: Token) -> bool:
    return token.text in MEASURES


def _is_noun(token: Token, before: Token | None, after: Token | None, plural: bool) -> bool:
    if not token.is_word or token.text in ARTICLES:
        return False
    # A noun phrase hardly ends in a finite verb: the tagger took a noun for one (her pink dress),
    # unless it goes with a plural (men chat).
    last = before is not None and after is None
    return token.word_class in NOUN or (token.word_class in FINITE and last and not plural)


def _is_pronoun(token: Token, after: Token | None) -> bool:
    """Whether a word stands for a noun here, and not before one as in her hat, one man."""
    if token.text not in PRONOUNS:
        return False
    if after is None or not after.is_word or after.text in ENDS:
        return True
    return after.word_class in {"VVG", "VVN", "VVD", "VVZ"} and token.text not in {"her", "another"}


def _goes_on(token: Token, after: Token | None) -> bool:
    """Whether a noun group with a noun goes on: a tree lined street, number 5 jersey."""
    if token.word_class in ADJECTIVE or token.text.isdecimal():
        return True
    participle = token.word_class in {"VVN", "VVD"} or token.text == "looking"
    return participle and after is not None and after.word_class in NOUN | ADJECTIVE
