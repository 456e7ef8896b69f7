"""Captions of photos become tags: the nouns (or other parts of speech) that captions agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import pyarrow as pa
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from data_prep.crawl import Batch, Crawl, Source, open_crawl
from data_prep.crawl.source import UNREADABLE, Format
from data_prep.errors import UserError
from data_prep.text import normalise, singular, tokens
from data_prep.vocabulary import Vocabulary
from data_prep.word_classes import PARTS_OF_SPEECH, PLURAL, TAGGERS

# The list is meant for topics of texts: some of its words can be seen in a photo. The letters are
# what is left of 's and n't.
STOP_WORDS = ENGLISH_STOP_WORDS - {
    "bill", "cry", "empty", "fire", "full", "mill", "thick", "thin",
} | {"s", "t"}  # fmt: skip

# Verb forms that a tagger at times takes for nouns; captions hardly ever mean the noun.
NO_NOUNS = frozenset(
    {
        "catch", "climb", "crossing", "doing", "eating", "flies", "flying", "getting", "going",
        "having", "hit", "hits", "hold", "holding", "jumping", "jumps", "kicks", "laying", "leaps",
        "look", "looking", "looks", "lying", "making", "performing", "play", "playing", "plays",
        "poses", "rides", "riding", "run", "running", "runs", "sitting", "splashing", "stand",
        "standing", "stands", "taking", "talk", "tries", "try", "walking", "walks", "watch",
        "watches", "wear", "wearing", "wrestle",
    }
)  # fmt: skip

LONGEST_WORD = 40  # characters; HanTa's time on an unknown word grows with their cube
DELIMITER = "\x1f"  # the unit separator of ASCII, so that a caption stays whole
STEP = 1000  # captions between two calls of `progress`


@lru_cache(maxsize=1)
def imagenet_entries() -> frozenset[str]:
    """Names and general words of ImageNet's classes that have several words: fire engine."""
    vocabulary = Vocabulary.imagenet()
    entries = {*vocabulary.by_name, *vocabulary.by_hypernym}
    return frozenset(entry for entry in entries if " " in entry)


def read_dictionary(path: str | Path) -> frozenset[str]:
    """Read a dictionary: a UTF-8 text file with one entry a line; blank lines are skipped.

    Raises
    ------
    UserError
        The file cannot be read, is not UTF-8 or has no entry.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    entries = frozenset(" ".join(tokens(line)) for line in text.splitlines()) - {""}
    if not entries:
        raise UserError(f"{path}: no entry; write one word or compound a line")
    return entries


@dataclass(frozen=True)
class CaptionTagger:
    """Finds the tags of a caption.

    A word becomes a tag where its part of speech, found by the tagger, is asked for: a plural
    noun as its singular (`data_prep.text.singular`), a verb as its infinitive, an adjective in
    the positive. Words of the dictionary stay as written. Words of more than 40 characters are
    passed over.

    Attributes
    ----------
    parts_of_speech : tuple of str
        Keys of `PARTS_OF_SPEECH`.
    dictionary : frozenset of str
        Normalised. A run of words, its last one also in the plural, that is an entry is one tag,
        the longest one first: hot dog, and no dog. Entries of several words are nouns.
    stop_words : frozenset of str
        These are no tags.
    tagger : str
        Key of `TAGGERS`: "hanta", or "nltk", whose data must be downloaded.
    """

    parts_of_speech: tuple[str, ...] = ("noun",)
    dictionary: frozenset[str] = field(default_factory=imagenet_entries, repr=False)
    stop_words: frozenset[str] = field(default=STOP_WORDS, repr=False)
    tagger: str = "hanta"

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts_of_speech if part not in PARTS_OF_SPEECH]
        if unknown or not self.parts_of_speech:
            wrong = f"has {unknown[0]!r}" if unknown else "is empty"
            known = ", ".join(PARTS_OF_SPEECH)
            raise UserError(f"data.parts_of_speech {wrong}; choose from {known}")
        if self.tagger not in TAGGERS:
            raise UserError(f"data.tagger={self.tagger}: give one of {', '.join(TAGGERS)}")

    def tags(self, caption: str) -> list[str]:
        """Give the tags of a caption in its order, without repeats.

        >>> CaptionTagger().tags("Two men eat hot dogs by a fire engine .")
        ['man', 'hot dog', 'fire engine']
        """
        words = [word for word in tokens(caption) if len(word) <= LONGEST_WORD]
        # 's is no part of a name: the boy's hat.
        plain = [word.removesuffix("'s") for word in words]
        tagged = TAGGERS[self.tagger](plain)
        found: list[str] = []
        start = 0
        while start < len(words):
            entry, length = self._compound(words, start)
            if not length:
                entry, length = self._tag(*tagged[start]), 1
            found.append(entry)
            start += length
        return [tag for tag in dict.fromkeys(found) if tag and tag not in self.stop_words]

    def _compound(self, words: list[str], start: int) -> tuple[str, int]:
        """Longest entry of several words that begins at `start`, and its words; "" and 0: none."""
        longest = min(self._lengths.get(words[start], 0), len(words) - start)
        for length in range(longest, 1, -1):
            written = " ".join(words[start : start + length])
            for entry in (written, singular(written)):
                if entry in self.dictionary:
                    return entry if "noun" in self.parts_of_speech else "", length
        return "", 0

    @cached_property
    def _lengths(self) -> dict[str, int]:
        """Words of the longest entry that begins with a word."""
        longest: dict[str, int] = {}
        for entry in self.dictionary:
            first, *others = entry.split(" ")
            longest[first] = max(longest.get(first, 0), 1 + len(others))
        return longest

    def _tag(self, word: str, lemma: str, word_class: str) -> str:
        """Tag of a single word; "" where its part of speech is not asked for."""
        part = next((p for p in self.parts_of_speech if word_class in PARTS_OF_SPEECH[p]), None)
        if part is None:
            return ""
        if word in self.dictionary:
            return word
        if part != "noun":
            return normalise(lemma)
        if word in NO_NOUNS:
            return ""
        return singular(word) if word_class == PLURAL else word


def by_agreement(counts: Mapping[str, int]) -> list[str]:
    """Order tags: those of most captions first, ties by first appearance (the mapping's order)."""
    return sorted(counts, key=lambda tag: -counts[tag])


def open_captions(
    path: str,
    image: str = "image",
    caption: str = "caption",
    file_format: Literal["auto"] | Format = "auto",
) -> Crawl:
    """Open captions: CSV, TSV, JSON Lines or Parquet with a row per caption.

    Parameters
    ----------
    path : str
        File, folder, glob or URL.
    image, caption : str
        Names of the columns. A caption may also be a list of captions.
    file_format : str
        "auto" goes by the names of the files.

    Raises
    ------
    UserError
        Nothing is there, or a column is missing.
    """
    source = Source(
        path,
        file_format,
        image_id=image,
        user_id=None,
        tags=caption,
        tags_delimiter=DELIMITER,
        carry=(),
        image_id_key="data.image",
        tags_key="data.caption",
    )
    return open_crawl(source)


def photos(
    captions: Iterable[Batch],
    tagger: CaptionTagger,
    progress: Callable[[int], object] = lambda rows: None,
) -> Batch:
    """Turn captions into the tags of photos.

    The tags of a photo are those of all its captions, wherever they are: the tag that most of
    its captions name comes first; ties keep the order of first appearance. A photo whose
    captions are empty has no tags. Memory grows with the number of photos.

    Parameters
    ----------
    captions : iterable of Batch
        From `open_captions`; `tags` holds the captions.
    tagger : CaptionTagger
    progress : callable
        Called with a number of rows whenever that many more are done.

    Returns
    -------
    Batch
        `rows`: `image_id` (string) and `tags` (list of string), one row per photo in the order
        of first appearance; `unreadable`: all lost rows of the captions.
    """
    counts: dict[str, Counter[str]] = {}
    lost: list[pa.RecordBatch] = []
    for batch in captions:
        lost.append(batch.unreadable)
        for start in range(0, len(batch.rows), STEP):
            some = batch.rows.slice(start, STEP)
            for image, caption in _captions(some):
                counts.setdefault(image, Counter()).update(tagger.tags(caption))
            progress(len(some))
    columns = {
        "image_id": pa.array(counts, pa.string()),
        "tags": pa.array((by_agreement(c) for c in counts.values()), pa.list_(pa.string())),
    }
    unreadable = pa.Table.from_batches(lost, UNREADABLE).combine_chunks().to_batches()
    return Batch(
        pa.RecordBatch.from_pydict(columns),
        unreadable[0] if unreadable else pa.RecordBatch.from_pylist([], UNREADABLE),
    )


def _captions(rows: pa.RecordBatch) -> Iterator[tuple[str, str]]:
    for image, captions in zip(
        rows.column("image_id").cast(pa.string()).to_pylist(),
        rows.column("tags").to_pylist(),
        strict=True,
    ):
        for caption in captions or [""]:
            yield image, caption or ""
