"""Captions of Flickr30k Entities, whose phrases stand in brackets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from data_prep.phrases import Problem, Unusable

NOT_VISUAL = "0"  # the chain of what cannot be seen: each other, fun

_OPENING = re.compile(r"\[/EN#([^\s/\[\]]+)((?:/[^\s/\[\]]*)*)(?:\s+|(?=\]))")
_SIGN = re.compile(r"[\[\]]")


class Mention(NamedTuple):
    """A phrase in brackets.

    Attributes
    ----------
    start, end : int
        Its place in the plain caption, in characters, half-open; without white space at its ends.
    chain : str
        Id of what it stands for; "0" for what is not visual.
    types : tuple of str
        Such as people, clothing.
    """

    start: int
    end: int
    chain: str
    types: tuple[str, ...]


class Sentence(NamedTuple):
    """A caption without its brackets.

    Attributes
    ----------
    number : int
        Its place among the captions of the file, from 0; blank lines do not count.
    text : str
        Spaced as in the file.
    mentions : tuple of Mention
        All of them, in order, also those that are blank.
    """

    number: int
    text: str
    mentions: tuple[Mention, ...]


def read_sentences(path: Path) -> tuple[list[Sentence], list[Problem]]:
    """Read a file of captions, one a line.

    Parameters
    ----------
    path : Path
        UTF-8; a byte order mark and Windows line ends are fine.

    Returns
    -------
    sentences : list of Sentence
    problems : list of Problem
        The lines that are no captions: "malformed line", "not UTF-8".

    Raises
    ------
    Unusable
        "no sentences": the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); fetch it, or take the photo off the split"
        raise Unusable(str(path), "no sentences", reason) from error
    lines = enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
    sentences: list[Sentence] = []
    problems: list[Problem] = []
    for number, (line, content) in enumerate((n, c.strip()) for n, c in lines if c.strip()):
        where = f"{path}:{line}"
        try:
            sentences.append(Sentence(number, *parse_sentence(content.decode("utf-8"))))
        except UnicodeDecodeError as error:
            reason = f"not UTF-8 ({error.reason}); save the file as UTF-8"
            problems.append(Problem(where, "not UTF-8", reason))
        except ValueError as error:
            problems.append(Problem(where, "malformed line", f"{error}; correct the line"))
    return sentences, problems


def parse_sentence(line: str) -> tuple[str, tuple[Mention, ...]]:
    """Take the brackets of phrases out of a caption.

    A phrase is written `[/EN#<chain>/<type>[/<type>…] words]`; signs and letters may touch the
    brackets. Other brackets belong to the text, if they are paired and outside of phrases.

    Raises
    ------
    ValueError
        Brackets are nested or not paired, or the mark of a phrase is broken.

    Examples
    --------
    >>> parse_sentence("([/EN#7/people/other Two men], [sic])")
    ('(Two men, [sic])', (Mention(start=1, end=8, chain='7', types=('people', 'other')),))
    """
    text, at, depth = "", 0, 0
    mentions: list[Mention] = []
    while sign := _SIGN.search(line, at):
        text += line[at : sign.start()]
        if opening := _OPENING.match(line, sign.start()):
            words, at = _inside(line, opening.end())
            start = len(text)
            text += words
            types = tuple(filter(None, opening[2].split("/")))
            mentions.append(Mention(start, start + len(words.rstrip()), opening[1], types))
            continue
        text += sign[0]
        at = sign.end()
        depth += 1 if sign[0] == "[" else -1
        if depth < 0:
            raise ValueError(f"a ] without its [ at character {sign.start() + 1}")
    text += line[at:]
    if depth:
        raise ValueError("a [ without its ]")
    if "EN#" in text:
        raise ValueError("a broken mark of a phrase, which is [/EN#CHAIN/TYPE words]")
    return text, tuple(mentions)


def _inside(line: str, start: int) -> tuple[str, int]:
    """Give the words of a phrase that begin at `start`, and where the text goes on."""
    sign = _SIGN.search(line, start)
    if sign is None:
        raise ValueError("a phrase without its ]")
    if sign[0] == "[":
        raise ValueError(f"a [ inside a phrase at character {sign.start() + 1}")
    return line[start : sign.start()], sign.end()
