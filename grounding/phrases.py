"""From a phrase of a caption to the words of a vocabulary that can be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from data_prep.captions import LONGEST_WORD, STOP_WORDS
from data_prep.errors import UserError
from data_prep.text import PLURAL_ONLY, normalise, tokens
from data_prep.vocabulary import Vocabulary
from data_prep.word_classes import PARTS_OF_SPEECH, TAGGERS
from data_prep.wordnet import WordNet
from grounding.head_nouns import CONTENT, NOUN, PRONOUNS, Token, head_position
from grounding.words import WordMatch, longest_entry, pointable

CLITICS = frozenset({"'s", "'re", "'ve", "'ll", "'m", "'d", "'"})
# NLTK turns quotes into others and then may not find them again.
PLAIN = str.maketrans({"’": "'", "_": " ", '"': " ", "`": " ", "“": " ", "”": " ", "‘": " "})
VERB_OR_ADJECTIVE = PARTS_OF_SPEECH["verb"] | PARTS_OF_SPEECH["adjective"]


@dataclass(frozen=True)
class PhraseWords:
    """What became of a phrase.

    Attributes
    ----------
    words : tuple of WordMatch
        The words to ask for, in the order of the phrase, no classes twice. `word` is what the
        phrase has, or the vocabulary's word where it was backed off to.
    head : int or None
        Index into `words` of the head noun's match; None where it has none.
    head_noun : str or None
        The head noun, normalised, known or not; None for a pronoun or nothing.
    dropped : tuple of str
        Nouns, adjectives and verbs that the vocabulary lacks.
    backed_off : tuple of (str, str)
        The head noun or pronoun and the vocabulary's word in its place; several pairs for a noun
        that stands for several: (vehicle, car), (vehicle, truck).
    """

    words: tuple[WordMatch, ...]
    head: int | None
    head_noun: str | None
    dropped: tuple[str, ...]
    backed_off: tuple[tuple[str, str], ...]

    @property
    def out_of_vocabulary(self) -> bool:
        """Whether there is no word to ask for."""
        return not self.words


class PhraseResolver:
    """Finds the words of phrases.

    Entries of several words come first, the longest first; then single words as written, in the
    singular, or a verb or an adjective by its lemma (not in a vocabulary with hypernyms, which
    names things only: watching is no watch). A head noun that the vocabulary lacks backs off
    through WordNet; what only describes it does not, for that would point elsewhere (a
    construction worker is no building).

    Parameters
    ----------
    vocabulary : Vocabulary
    tagger : str
        Key of `TAGGERS`. It sees the whole caption, which it tags better than a phrase.
    backoff : {"none", "wordnet"}
        `WordNet.nearest` for a head noun that the vocabulary lacks.
    wordnet : str or None
        Folder of WordNet's files; None: NLTK's data.
    pronouns : bool
        Back off from a phrase's pronoun as well, by the table `PRONOUNS`: he → man.

    Raises
    ------
    UserError
        A value is unusable, or WordNet is not there.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        tagger: str = "hanta",
        backoff: Literal["none", "wordnet"] = "none",
        wordnet: str | None = None,
        pronouns: bool = False,
    ) -> None:
        if not isinstance(tagger, str) or tagger not in TAGGERS:
            raise UserError(f"words.tagger={tagger}: give one of {', '.join(TAGGERS)}")
        if backoff not in ("none", "wordnet"):
            raise UserError(f"words.backoff={backoff}: give none or wordnet")
        if not isinstance(wordnet, str | None):
            raise UserError(f"words.wordnet={wordnet}: give a folder of WordNet's files, or null")
        if not isinstance(pronouns, bool):
            raise UserError(f"words.pronouns={pronouns}: give true or false")
        self.vocabulary = vocabulary
        self.pronouns = pronouns
        self._wordnet = WordNet.open(wordnet) if backoff == "wordnet" else None
        # Phrases come caption by caption, and the tagger is slow.
        self._tagged = lru_cache(maxsize=64)(lambda caption: tagged_tokens(caption, tagger))
        self._nearest = lru_cache(maxsize=1 << 16)(self._find_nearest)

    def __call__(self, caption: str, start: int, end: int) -> PhraseWords:
        """Find the words of the phrase `caption[start:end]`; a token cut in two counts as in it."""
        inside = self._tagged(caption) if start < end else ()
        phrase = [t for t in inside if t.start < end and t.end > start]
        found, unknown = self._vocabulary_words(phrase)
        head = head_position(phrase)
        used: tuple[str, ...] = ()
        if head is not None and head not in found:
            match, used = self._back_off(phrase[head])
            if match is not None:
                found[head] = match
        return _phrase_words(phrase, found, head, used, [i for i in unknown if i not in found])

    def _vocabulary_words(self, phrase: list[Token]) -> tuple[dict[int, WordMatch], list[int]]:
        """Matches, by the last token of each, and which other tokens are nouns, adjectives, verbs.

        The words of an entry of several become nouns, whatever the tagger takes them for.
        """
        found: dict[int, WordMatch] = {}
        unknown: list[int] = []
        position = 0
        while position < len(phrase):
            length, match = longest_entry([t.text for t in phrase[position:]], self.vocabulary)
            end = position + max(length, 1)
            if length > 1:
                names = [replace(t, word_class="NN1") for t in phrase[position:end]]
                phrase[position:end] = names
            match = match or self._by_lemma(phrase[position])
            if match is not None:
                found[end - 1] = match
            elif _is_content(phrase[position]):
                unknown.append(position)
            position = end
        return found, unknown

    def _by_lemma(self, token: Token) -> WordMatch | None:
        """Match of a verb's or an adjective's lemma."""
        if self.vocabulary.hypernyms or token.word_class not in VERB_OR_ADJECTIVE:
            return None
        if token.text in PLURAL_ONLY:  # shorts are not short
            return None
        return pointable(token.text, self.vocabulary, token.lemma)

    def _back_off(self, head: Token) -> tuple[WordMatch | None, tuple[str, ...]]:
        """Match of the vocabulary words in a head's place, and these words."""
        if head.text in PRONOUNS:
            word = PRONOUNS[head.text] if self.pronouns else ""
            match = pointable(word, self.vocabulary)
            return match, (word,) if match else ()
        if head.word_class in NOUN and _is_content(head):
            return self._nearest(head.text)
        return None, ()

    def _find_nearest(self, noun: str) -> tuple[WordMatch | None, tuple[str, ...]]:
        if self._wordnet is None:
            return None, ()
        used = self._wordnet.nearest(noun, self._known)
        matches = [match for word in used if (match := pointable(word, self.vocabulary))]
        if len(matches) < 2:
            return (matches[0], used) if matches else (None, ())
        classes = tuple(sorted({index for match in matches for index in match.classes}))
        names = tuple(self.vocabulary.names[index][0] for index in classes)
        return WordMatch(noun, classes, names, "hypernym"), used

    def _known(self, word: str) -> bool:
        match = pointable(word, self.vocabulary)
        return match is not None and match.how != "lemma"


def tagged_tokens(caption: str, tagger: str) -> list[Token]:
    """Split a caption by NLTK's tokeniser and tag it."""
    found = list(_tokens(caption))
    # Longer words are no English, and HanTa's time grows with the cube of their length.
    tagged = TAGGERS[tagger]([text[:LONGEST_WORD] for text, _, _ in found])
    return [
        Token(text, start, end, lemma, word_class)
        for (text, start, end), (_, lemma, word_class) in zip(found, tagged, strict=True)
    ]


def _tokens(caption: str) -> Iterator[tuple[str, int, int]]:
    """Normalised tokens and their places; NLTK's, cut further as tags are (dog/cat)."""
    from nltk.tokenize import NLTKWordTokenizer  # takes a second

    plain = caption.translate(PLAIN).replace("''", "  ")
    for start, end in NLTKWordTokenizer().span_tokenize(plain):
        text = normalise(plain[start:end])
        for part in [text] if text in CLITICS else tokens(text) or [text]:
            yield part, start, end


def _is_content(token: Token) -> bool:
    return token.word_class in CONTENT and token.is_word and token.text not in STOP_WORDS


def _phrase_words(
    phrase: list[Token],
    found: dict[int, WordMatch],
    head: int | None,
    used: tuple[str, ...],
    dropped: list[int],
) -> PhraseWords:
    words: dict[tuple[int, ...], WordMatch] = {}
    for position in sorted(found):
        words.setdefault(found[position].classes, found[position])
    noun = phrase[head].text if head is not None else ""
    return PhraseWords(
        words=tuple(words.values()),
        head=list(words).index(found[head].classes) if head in found else None,
        head_noun=None if noun in PRONOUNS else noun or None,
        dropped=tuple(dict.fromkeys(phrase[position].text for position in dropped)),
        backed_off=tuple((noun, word) for word in used),
    )
