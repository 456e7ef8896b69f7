"""Captions of drawn scenes, with phrases."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from data_prep.scenes.backgrounds import SETTINGS
from data_prep.scenes.nouns import NOUNS
from data_prep.scenes.plan import Plan

NUMBERS = {2: "two", 3: "three", 4: "four"}
SIZE_WORDS = {"small": ("small", "little"), "medium": ("",), "big": ("big", "large")}
TOGETHER = 0.12  # share of scenes of several nouns with a phrase for two of them at once
LIGHT = 0.15  # share of scenes whose light is spoken of: visible, but nowhere to box
UNRELATED = 0.02  # share of scenes with a caption of something else


@dataclass
class Captions:
    """Captions of one scene.

    Attributes
    ----------
    lines : list of str
        A caption each: words and signs with spaces between, phrases in the brackets of Flickr30k
        Entities.
    chains : dict of str to list of int
        Places of the things that each chain id stands for.
    scenes, boxless : list of str
        Chain ids of the setting; of what is visible and has no box.
    unrelated : list of int
        Numbers, from 1, of captions that do not fit the picture.
    """

    lines: list[str] = field(default_factory=list)
    chains: dict[str, list[int]] = field(default_factory=dict)
    scenes: list[str] = field(default_factory=list)
    boxless: list[str] = field(default_factory=list)
    unrelated: list[int] = field(default_factory=list)


def write_captions(plan: Plan, first_chain: int, random: np.random.Generator) -> Captions:
    """Write two to five captions; the first speaks of all that there is.

    Parameters
    ----------
    plan : Plan
        Of the scene.
    first_chain : int
        The least of the chain ids; they ascend from it.
    random : np.random.Generator
        Chooses the words.
    """
    said = Captions()
    writer = _Writer(plan, said, first_chain, random)
    said.lines.append(writer.all_things())
    for _ in range(int(random.integers(1, 4))):
        said.lines.append(writer.some_things())
    if len(plan.groups()) > 1 and random.random() < TOGETHER:
        said.lines[-1] = writer.two_together()
    if random.random() < LIGHT:
        said.lines[-1] = writer.with_light(said.lines[-1])
    if random.random() < UNRELATED:
        said.lines.append(writer.something_else())
        said.unrelated.append(len(said.lines))
    return said


class _Writer:
    """Makes captions and notes which chain stands for what."""

    def __init__(
        self, plan: Plan, said: Captions, first_chain: int, random: np.random.Generator
    ) -> None:
        self._plan, self._said, self._random = plan, said, random
        self._next = first_chain
        self._groups = plan.groups()
        self._chain_of = {noun: self._new() for noun in self._groups}
        self._scene = self._new()
        said.chains.update({self._chain_of[noun]: found for noun, found in self._groups.items()})

    def all_things(self) -> str:
        phrases = [self._phrase(noun) for noun in self._groups]
        return _sentence(_listed(phrases), *self._setting())

    def some_things(self) -> str:
        """Speak of one thing, or of one beside another."""
        nouns = self._random.permutation(list(self._groups)).tolist()
        if len(nouns) == 1:
            start = ("There is" if len(self._groups[nouns[0]]) == 1 else "There are") + " "
            return _sentence(start + self._phrase(nouns[0]), *self._setting())
        one, two = (self._phrase(noun) for noun in nouns[:2])
        match int(self._random.integers(3)):
            case 0:
                return _sentence(one, "next to", two)
            case 1:
                return _sentence(one, "near", two, *self._setting())
        return _sentence(one, "and", two, "beside", "[/EN#0/notvisual each other]")

    def two_together(self) -> str:
        """Speak of two nouns in one phrase, so that their boxes bear two chain ids."""
        nouns = list(self._groups)[:2]
        words = " and ".join(self._words(noun) for noun in nouns)
        types = "/".join(dict.fromkeys("/".join(NOUNS[noun].types for noun in nouns).split("/")))
        chain = self._new()
        self._said.chains[chain] = [place for noun in nouns for place in self._groups[noun]]
        return _sentence(f"[/EN#{chain}/{types} {words}]", *self._setting())

    def with_light(self, line: str) -> str:
        chain = self._new()
        self._said.boxless.append(chain)
        return line.removesuffix(" .") + f" in [/EN#{chain}/other bright light] ."

    def something_else(self) -> str:
        """Speak of what is not there."""
        chain = self._new()
        self._said.boxless.append(chain)
        noun = str(self._random.choice([noun for noun in NOUNS if noun not in self._groups]))
        phrase = f"[/EN#{chain}/{NOUNS[noun].types} {_with_article(noun)}]"
        return _sentence(phrase, "is all there is to see")

    def _phrase(self, noun: str) -> str:
        return f"[/EN#{self._chain_of[noun]}/{NOUNS[noun].types} {self._words(noun)}]"

    def _words(self, noun: str) -> str:
        """Number, size, colour and noun; size and colour are sometimes left out."""
        places = self._groups[noun]
        thing = self._plan.things[places[0]]
        size = str(self._random.choice(SIZE_WORDS[thing.size]))
        size = size if self._random.random() < 0.6 else ""
        colour = thing.colour if self._random.random() < 0.7 else ""
        name = noun if len(places) == 1 else NOUNS[noun].plural
        words = " ".join(filter(None, (size, colour, name)))
        return f"{NUMBERS[len(places)]} {words}" if len(places) > 1 else _with_article(words)

    def _setting(self) -> tuple[str, str]:
        setting = SETTINGS[self._plan.setting]
        if self._scene not in self._said.scenes:
            self._said.scenes.append(self._scene)
        return setting.preposition, f"[/EN#{self._scene}/scene {setting.phrase}]"

    def _new(self) -> str:
        self._next += 1
        return str(self._next - 1)


def _with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _listed(phrases: list[str]) -> str:
    """Join phrases as in "one , two and three"."""
    return " and ".join(filter(None, (" , ".join(phrases[:-1]), phrases[-1])))


def _sentence(*parts: str) -> str:
    """Join parts, begin with a capital and end with a stop."""
    text = " ".join(parts)
    place = text.index(" ") + 1 if text.startswith("[") else 0  # past the brackets' mark
    return f"{text[:place]}{text[place].upper()}{text[place + 1 :]} ."
