"""WordNet's nouns: from a noun that a vocabulary lacks to the vocabulary words nearest to it.

The files are those of WordNet 3.0 (Miller, WordNet: A Lexical Database for English, 1995), in the
format of its manual page wndb(5WN). NLTK's own reader needs all of WordNet and takes seconds to
load; here two files and the nouns are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data_prep.errors import UserError
from data_prep.text import normalise, singular

SENSES = 2  # of a noun, the most frequent first, whose synonyms are taken
FARTHEST = 4  # steps up or down: beyond them a word says too little of what was meant
LEAST_DEPTH = 4  # steps below "entity"; object, whole, group, abstraction … are above
REMEDY = (
    "get it by python -m nltk.downloader wordnet, or name a folder that holds WordNet's index.noun "
    "and data.noun (Debian's package wordnet-base: /usr/share/wordnet)"
)

HYPERNYM = ("@", "@i")
HYPONYM = ("~",)  # kinds only: an instance of a city is no word for it


@dataclass(frozen=True)
class Synset:
    """Words for one thing, and what is directly above and below it.

    Attributes
    ----------
    words : tuple of str
        Normalised, the most frequent first.
    hypernyms, hyponyms : tuple of int
        Offsets of other synsets.
    """

    words: tuple[str, ...]
    hypernyms: tuple[int, ...]
    hyponyms: tuple[int, ...]


class WordNet:
    """The nouns of WordNet.

    Parameters
    ----------
    index, data : bytes
        `index.noun` and `data.noun`.

    Raises
    ------
    ValueError
        They are something else.
    """

    def __init__(self, index: bytes, data: bytes) -> None:
        self._data = data
        self._senses = dict(_index_entries(index))
        if not self._senses:
            raise ValueError("no noun")
        self.synset(next(iter(self._senses.values()))[0])
        self._depth = lru_cache(maxsize=None)(self._find_depth)

    @classmethod
    def open(cls, folder: str | None = None) -> WordNet:
        """Read WordNet from a folder, or from NLTK's data where no folder is named.

        Raises
        ------
        UserError
            It is not there, or the files are not WordNet's.
        """
        where = folder or "NLTK's data"
        try:
            read = _nltk_reader() if folder is None else _folder_reader(folder)
            return cls(read("index.noun"), read("data.noun"))
        except (OSError, LookupError) as error:
            raise UserError(f"{where}: no WordNet there; {REMEDY}") from error
        except ValueError as error:
            raise UserError(f"{where}: no files of WordNet 3.0 ({error}); {REMEDY}") from error

    def senses(self, noun: str) -> tuple[int, ...]:
        """Synsets of a noun as written, else of its singular; the most frequent first."""
        written = normalise(noun)
        return self._senses.get(written) or self._senses.get(singular(written), ())

    def synset(self, offset: int) -> Synset:
        """Read the synset at an offset of `data.noun`."""
        line = self._data[offset : self._data.find(b"\n", offset)]
        try:
            fields = line.decode("ascii").split(" | ")[0].split()
            if int(fields[0]) != offset:
                raise ValueError("another offset")
            last = 4 + 2 * int(fields[3], 16)
            words = tuple(normalise(word) for word in fields[4:last:2])
            pointers = list(
                zip(fields[last + 1 :: 4], map(int, fields[last + 2 :: 4]), strict=True)
            )
        except (ValueError, IndexError) as error:
            raise ValueError(f"data.noun has no synset at byte {offset}") from error
        return Synset(
            words,
            tuple(to for kind, to in pointers if kind in HYPERNYM),
            tuple(to for kind, to in pointers if kind in HYPONYM),
        )

    def nearest(self, noun: str, known: Callable[[str], bool]) -> tuple[str, ...]:
        """Find the known words that can stand for a noun; none where there are none.

        First a synonym in one of its two most frequent senses; then the nearest hypernym of its
        most frequent sense, up to four steps above and at least four below the root, so that
        nothing as general as object is taken; then all hyponyms of that sense, up to four steps
        below, unless it is itself so general: vehicle → car, truck. A known word counts only by
        its own most frequent sense: an arm is no sword.

        Parameters
        ----------
        noun : str
            Singular or plural; a compound with spaces.
        known : callable
            Whether a normalised word can be used.

        Returns
        -------
        tuple of str
            One synonym or hypernym, or any number of hyponyms in the order of their distance.
        """
        senses = self.senses(noun)[:SENSES]
        first = [sense for sense in senses[:1] if self._depth(sense) >= LEAST_DEPTH]
        for level in [senses, *self._levels(first, "hypernyms")]:
            if found := next(filter(known, self._words(level)), None):
                return (found,)
        below = [word for level in self._levels(first, "hyponyms") for word in self._words(level)]
        return tuple(filter(known, dict.fromkeys(below)))

    def _levels(self, level: list[int], side: str) -> Iterator[list[int]]:
        """Synsets one step up or down, two steps …, without those too general."""
        for _ in range(FARTHEST):
            steps = dict.fromkeys(to for o in level for to in getattr(self.synset(o), side))
            level = [offset for offset in steps if self._depth(offset) >= LEAST_DEPTH]
            yield level

    def _words(self, offsets: Iterable[int]) -> list[str]:
        """Words of synsets that mean them first of all."""
        words = ((word, offset) for offset in offsets for word in self.synset(offset).words)
        return [word for word, offset in words if self.senses(word)[:1] == (offset,)]

    def _find_depth(self, offset: int) -> int:
        """Most steps from the root."""
        above = self.synset(offset).hypernyms
        return 1 + max(map(self._depth, above)) if above else 0


def _index_entries(index: bytes) -> Iterator[tuple[str, tuple[int, ...]]]:
    for row, line in enumerate(index.splitlines(), start=1):
        if line.startswith(b"  "):  # the licence
            continue
        try:
            fields = line.decode("ascii").split()
            count = int(fields[2])
            yield normalise(fields[0]), tuple(int(offset) for offset in fields[-count:])
        except (ValueError, IndexError) as error:
            raise ValueError(f"index.noun line {row} is no entry") from error


def _folder_reader(folder: str) -> Callable[[str], bytes]:
    return lambda name: (Path(folder) / name).read_bytes()


def _nltk_reader() -> Callable[[str], bytes]:
    import nltk.data  # takes a second

    try:
        found = nltk.data.find("corpora/wordnet")
    except LookupError:  # its downloader leaves the archive packed
        found = nltk.data.find("corpora/wordnet.zip/wordnet/")

    def read(name: str) -> bytes:
        with found.join(name).open() as file:
            return file.read()

    return read
