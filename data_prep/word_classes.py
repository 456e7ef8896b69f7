"""Word class and lemma of each word of a sentence, found by HanTa or by NLTK."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import HanTa
from HanTa.HanoverTagger import HanoverTagger

from data_prep.errors import UserError

if TYPE_CHECKING:
    from nltk.tag.perceptron import PerceptronTagger

# Word classes of the British National Corpus (its basic tag set, C5).
PARTS_OF_SPEECH = {
    "noun": frozenset({"NN0", "NN1", "NN2", "NP0", "UNC"}),  # UNC: not in its lexicon (bmx, suv)
    "adjective": frozenset({"AJ0", "AJC", "AJS"}),
    "verb": frozenset({"VVB", "VVD", "VVG", "VVI", "VVN", "VVZ"}),
}
PLURAL = "NN2"

# The same classes in the tag set of the Penn Treebank, which NLTK's tagger gives.
C5_OF_PENN = {
    "NN": "NN1", "NNS": PLURAL, "NNP": "NP0", "NNPS": PLURAL,
    "JJ": "AJ0", "JJR": "AJC", "JJS": "AJS",
    "VB": "VVI", "VBD": "VVD", "VBG": "VVG", "VBN": "VVN", "VBP": "VVB", "VBZ": "VVZ",
}  # fmt: skip
# C5 sets these apart from other verbs, Penn does not.
AUXILIARIES = frozenset(
    {
        "am", "are", "be", "been", "being", "did", "do", "does", "doing", "done", "had", "has",
        "have", "having", "is", "was", "were",
    }
)  # fmt: skip


def hanta(words: list[str]) -> list[tuple[str, str, str]]:
    """Give word, lemma and word class (C5) of each word by HanTa's trigram tagger.

    >>> hanta(["dogs", "playing"])
    [('dogs', 'dog', 'NN2'), ('playing', 'play', 'VVG')]
    """
    # Normalised words are in lower case, whatever they are.
    return _hanta().tag_sent(words, casesensitive=False)


def nltk(words: list[str]) -> list[tuple[str, str, str]]:
    """Give word, lemma and word class of each word by NLTK's averaged perceptron tagger.

    The class is "" for words other than nouns, adjectives and full verbs. Lemmas are HanTa's, for
    it goes by the word and its class; simplemma goes by the word alone and gives
    playing → playe, hanging → hanging.

    Raises
    ------
    UserError
        The data of the tagger, which NLTK's package lacks, are not there.
    """
    found = []
    for word, penn in _perceptron().tag(words):
        kind = "" if word in AUXILIARIES else C5_OF_PENN.get(penn, "")
        found.append((word, _lemma(word, kind) if kind else word, kind))
    return found


TAGGERS: dict[str, Callable[[list[str]], list[tuple[str, str, str]]]] = {
    "hanta": hanta,
    "nltk": nltk,
}


@lru_cache(maxsize=1)
def _hanta() -> HanoverTagger:
    # An absolute path: by its bare name a file of the working folder would be taken.
    return HanoverTagger(str(Path(HanTa.__file__).parent / "morphmodel_en.pgz"))


@lru_cache(maxsize=1)
def _perceptron() -> PerceptronTagger:
    from nltk.tag.perceptron import PerceptronTagger  # takes two seconds

    try:
        return PerceptronTagger()
    except (LookupError, OSError, ValueError) as error:
        raise UserError(
            "data.tagger=nltk: NLTK finds no usable data of its tagger; get them with "
            "python -m nltk.downloader averaged_perceptron_tagger_eng"
        ) from error


@lru_cache(maxsize=1 << 16)
def _lemma(word: str, word_class: str) -> str:
    lemma, _ = _hanta().analyze(word, pos=word_class)
    return lemma
