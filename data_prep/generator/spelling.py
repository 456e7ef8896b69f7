"""The tags of a generated crawl as strings: stock-photo words, pseudo-words, odd spellings."""

from __future__ import annotations

import unicodedata

import numpy as np

from data_prep.text import normalise

# The most frequent tags, most frequent first.
FREQUENT = tuple(
    """
    woman, man, beautiful, happy, business, background, nature, white, people, beauty, isolated,
    young, person, female, male, girl, fun, face, lifestyle, adult, portrait, summer, smile,
    family, travel, child, food, blue, green, design, sky, water, illustration, vector, tree,
    holiday, fashion, concept, outdoor, home, love, attractive, caucasian, modern, health, office,
    work, success, technology, team, cute, old, red, light, city, landscape, sea, beach, flower,
    animal, dog, cat, hair, hand, computer, education, school, student, boy, baby, kid, mother,
    father, couple, friend, happiness, relax, vacation, garden, plant, leaf, forest, mountain,
    river, sun, sunset, sand, ocean, boat, car, road, house, building, architecture, urban, street,
    window, kitchen, table, chair, fruit, vegetable, healthy, fresh, coffee, wine, cake, christmas,
    winter, snow, autumn, spring, sport, fitness, running, bicycle, horse, bird, hot air balloon,
    copy space, close up, swimming pool, ice cream, wedding dress, café, t-shirt
    """.replace("\n", " ")
    .strip()
    .split(", ")
)
FREQUENT = tuple(normalise(tag) for tag in FREQUENT)

ONSETS = ("", *"bcdfghjklmnprstvwz", "br", "ch", "cl", "dr", "fl", "gr", "pl", "sh", "st", "tr")
VOWELS = (*"aeiou", *"aeiou", "ai", "ea", "ou", "oo")
CODAS = ("", "", "", "n", "r", "s", "l", "t", "nd", "m")
ACCENTS = str.maketrans("aeioun", "äéîöüñ")

TWO_WORDS, ACCENTED = 0.04, 0.03  # shares of the pseudo-words

ODD = ("capitals", "white space", "decomposed", "full width", "emoji")
ODD_SHARES = (0.4, 0.25, 0.15, 0.1, 0.1)
FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
EMOJI = ("😀", "❤️", "🌸", "👩‍👧", "🐶")


def make_tags(count: int, seed: int) -> list[str]:
    """Make distinct normalised tags, the most frequent first.

    Parameters
    ----------
    count : int
        Tags; the first are `FREQUENT`, the others are made of syllables.
    seed : int
        Of the syllables.
    """
    tags = dict.fromkeys(FREQUENT[:count])
    random = np.random.default_rng([seed, 1])
    while len(tags) < count:
        tags.update(dict.fromkeys(_pseudo_words(count - len(tags), random)))
    return list(tags)


def spell_oddly(tags: list[str], seed: int) -> list[str]:
    """Give every tag one odd spelling, as uploaders write it.

    Stray capitals, extra white space and decomposed accents (NFD) normalise to the tag itself;
    full-width letters and emoji stay a tag of their own.
    """
    random = np.random.default_rng([seed, 2])
    kinds = random.choice(len(ODD), len(tags), p=ODD_SHARES)
    choices = random.integers(0, 60, len(tags))
    pairs = zip(tags, kinds.tolist(), choices.tolist(), strict=True)
    return [_odd(tag, ODD[kind], choice) for tag, kind, choice in pairs]


def _pseudo_words(count: int, random: np.random.Generator) -> list[str]:
    syllables = random.integers(2, 5, count)
    draws = random.integers(0, len(ONSETS) * len(VOWELS) * len(CODAS), (count, 4)).tolist()
    shares = random.random((count, 2)).tolist()
    words = []
    for length, row, (two, accented) in zip(syllables.tolist(), draws, shares, strict=True):
        parts = [_syllable(draw) for draw in row[:length]]
        if two < TWO_WORDS:
            parts.insert(length // 2, " ")
        word = "".join(parts)
        words.append(normalise(word.translate(ACCENTS) if accented < ACCENTED else word))
    return words


def _syllable(draw: int) -> str:
    draw, coda = divmod(draw, len(CODAS))
    onset, vowel = divmod(draw, len(VOWELS))
    return ONSETS[onset] + VOWELS[vowel] + CODAS[coda]


def _odd(tag: str, kind: str, choice: int) -> str:
    match kind:
        case "white space":
            return (f" {tag}", f"{tag} ", f"\t{tag}", tag.replace(" ", "_") + "\u00a0")[choice % 4]
        case "decomposed" if not tag.isascii():
            return unicodedata.normalize("NFD", tag)
        case "full width":
            return tag.translate(FULL_WIDTH)
        case "emoji":
            return f"{tag} {EMOJI[choice % len(EMOJI)]}"
    return (tag.title(), tag.upper(), tag[:-1] + tag[-1].upper())[choice % 3]
