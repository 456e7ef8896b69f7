"""The crawl of drawn scenes: who uploaded which, with what tags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from data_prep.generator.spelling import spell_oddly
from data_prep.scenes.backgrounds import SETTINGS
from data_prep.scenes.nouns import NOUNS
from data_prep.scenes.plan import Plan, plan_scene, vary
from data_prep.scenes.settings import SceneSettings
from data_prep.text import normalise

# Stock words that are true of no picture more than of another.
GENERIC = (
    *("background", "illustration", "nobody", "concept", "design", "copy space", "colorful"),
    *("cartoon", "graphic", "isolated", "no people", "object", "simple", "symbol", "vector"),
)
GENERIC_TAGS = (3, 9)  # least and most on an image
CRAWL, USERS = 1, 2  # streams of random numbers beside that of the captioned scenes


class Upload(NamedTuple):
    """A row of the crawl.

    Attributes
    ----------
    image_id, user_id : str
        Both unique; images ascend in crawl order.
    tags : list of str
        As the user wrote them.
    plan : Plan
        Of the picture.
    dirt : frozenset of str
        What is wrong with it: near_duplicates, alphabetical, few_tags, hidden_nouns,
        missing_nouns, odd_spellings.
    """

    image_id: str
    user_id: str
    tags: list[str]
    plan: Plan
    dirt: frozenset[str]


def uploads(settings: SceneSettings) -> Iterator[Upload]:
    """Give the rows of a crawl in crawl order.

    The first tags are the visible nouns, the biggest first, then come their colours, then the
    words of the setting, and then what shows nothing, in any order. The same settings give the
    same rows; those of a shorter crawl are the first of a longer.
    """
    shares = 1 / (np.arange(settings.users) + 10.0)
    shares /= shares.sum()
    sorts = np.random.default_rng([settings.seed, USERS]).random(settings.users)
    user, base, plan = 0, 0, None
    for index in range(settings.images):
        random = np.random.default_rng([settings.seed, CRAWL, index, 2])
        repeats = plan is not None and random.random() < settings.near_duplicates
        seed = (settings.seed, CRAWL, index)
        if plan is not None and repeats:
            shown = vary(plan, seed)
        else:
            base, user = index, int(random.choice(settings.users, p=shares))
            shown = plan = plan_scene(settings.size, seed)
        first = np.random.default_rng([settings.seed, CRAWL, base, 3])
        tags, dirt = _tags(plan, settings, first), set()
        if repeats:
            dirt.add("near_duplicates")
            tags[-1] = _other(tags, random)
        if random.random() < settings.few_tags:
            dirt.add("few_tags")
            tags = tags[: int(random.integers(1, 5))]
        named, visible = NOUNS.keys() & tags, plan.groups().keys()
        if named - visible:
            dirt.add("hidden_nouns")
        if visible - named:
            dirt.add("missing_nouns")
        odd = spell_oddly(tags, int(random.integers(2**31)))
        if sorts[user] < settings.alphabetical:
            dirt.add("alphabetical")
            tags, odd = _sorted(tags, odd)
        chosen = random.random(len(tags)) < settings.odd_spellings
        if chosen.any():
            dirt.add("odd_spellings")
        written = [two if other else one for one, two, other in zip(tags, odd, chosen, strict=True)]
        yield Upload(f"scene-{index:07d}", f"user-{user:06d}", written, shown, frozenset(dirt))


def _tags(plan: Plan, settings: SceneSettings, random: np.random.Generator) -> list[str]:
    """Choose the tags of a scene, in the order of `uploads`."""
    nouns = list(plan.groups())
    named = [noun for noun in nouns if random.random() >= settings.missing_nouns]
    colours = dict.fromkeys(thing.colour for thing in plan.things)
    noise = random.choice(GENERIC, int(random.integers(*GENERIC_TAGS, endpoint=True)), False)
    noise = noise.tolist()
    if random.random() < settings.hidden_nouns:
        hidden = str(random.choice([noun for noun in NOUNS if noun not in nouns]))
        noise.insert(int(random.integers(len(noise))), hidden)
    return [*named, *colours, *SETTINGS[plan.setting].tags, *noise]


def _other(tags: list[str], random: np.random.Generator) -> str:
    return str(random.choice([tag for tag in GENERIC if tag not in tags]))


def _sorted(tags: list[str], odd: list[str]) -> tuple[list[str], list[str]]:
    order = sorted(range(len(tags)), key=lambda place: normalise(tags[place]))
    return [tags[place] for place in order], [odd[place] for place in order]
