"""What a classifier can name: per class its names and the general words above it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from data_prep.errors import UserError
from data_prep.text import normalise

IMAGENET_TABLE = Path(__file__).parent / "imagenet_classes.json"


@dataclass(frozen=True)
class Vocabulary:
    """The classes of a tag classifier, in the order of its outputs.

    Attributes
    ----------
    names : tuple of tuple of str
        Per class its names: the primary name first, then synonyms. Normalised.
    hypernyms : tuple of tuple of str
        Per class the general words that cover it (tabby: cat, feline, animal …). Normalised.
        Empty, or one entry per class.
    """

    names: tuple[tuple[str, ...], ...]
    hypernyms: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def imagenet(cls) -> Vocabulary:
        """Give the 1000 classes of ILSVRC 2012 with their WordNet 3.0 synonyms and hypernyms."""
        return cls.load(IMAGENET_TABLE)

    @classmethod
    def from_tags(cls, tags: Iterable[str]) -> Vocabulary:
        """One class per tag, without synonyms; tags that normalise alike are refused."""
        names = tuple((normalise(tag),) for tag in tags)
        seen: set[tuple[str, ...]] = set()
        for name in names:
            if name in seen or name == ("",):
                raise UserError(f"vocabulary: tag {name[0]!r} is empty or doubled; remove it")
            seen.add(name)
        return cls(names)

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """Read what `save` wrote.

        Raises
        ------
        UserError
            The file is missing or is no vocabulary.
        """
        try:
            rows = json.loads(Path(path).read_text(encoding="utf-8"))
            names = tuple(_words(row["names"]) for row in rows)
            hypernyms = tuple(_words(row.get("hypernyms", [])) for row in rows)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(
                f'{path}: not a vocabulary; expected a JSON list of {{"names": [...]}}, '
                "one per class"
            ) from error
        if not names or not all(names):
            raise UserError(f"{path}: a class without a name; give every class one")
        return cls(names, hypernyms if any(hypernyms) else ())

    def save(self, path: str | Path) -> None:
        """Write a JSON list, one class a line: `{"names": [...], "hypernyms": [...]}`."""
        rows = [{"names": names} for names in self.names]
        for row, hypernyms in zip(rows, self.hypernyms, strict=False):
            row["hypernyms"] = hypernyms
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        Path(path).write_text(f"[\n{lines}\n]\n", encoding="utf-8")

    @cached_property
    def by_name(self) -> dict[str, tuple[int, ...]]:
        """Classes of each name, ascending: crane → (134, 517)."""
        return _inverse(self.names)

    @cached_property
    def by_hypernym(self) -> dict[str, tuple[int, ...]]:
        """Classes under each general word, ascending."""
        return _inverse(self.hypernyms)

    def nearest(self, word: str, count: int = 3) -> list[str]:
        """Vocabulary words spelled most like a word, best first; for error messages."""
        known = list(self.by_name | self.by_hypernym)
        return difflib.get_close_matches(normalise(word), known, count, cutoff=0.5)


def _words(entry: object) -> tuple[str, ...]:
    """Check and normalise the words of one class; `TypeError` if they are none."""
    if not isinstance(entry, list):
        raise TypeError("expected a list of words")
    words = tuple(normalise(word) for word in entry)
    if "" in words:
        raise ValueError("an empty word")
    return words


def _inverse(rows: Iterable[Iterable[str]]) -> dict[str, tuple[int, ...]]:
    classes: dict[str, list[int]] = {}
    for index, words in enumerate(rows):
        for word in dict.fromkeys(words):
            classes.setdefault(word, []).append(index)
    return {word: tuple(indices) for word, indices in classes.items()}
