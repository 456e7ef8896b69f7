"""The one way a tag, a class name and a query word are normalised."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import simplemma

_GAPS = re.compile(r"[\s_]+")
_TOKEN = re.compile(r"\w+(?:['-]+\w+)*")  # t-shirt, jack-o'-lantern
_PLURAL_ENDINGS = ("s", "men", "feet", "teeth", "geese", "mice", "children", "oxen", "cacti")

# Nouns without a singular: things of two parts, and sets (Quirk et al., A Comprehensive Grammar
# of the English Language, 1985, 5.76-5.77); those only that photos show.
PLURAL_ONLY = frozenset(
    {
        "binoculars", "briefs", "clothes", "corduroys", "coveralls", "dungarees",
        "earmuffs", "eyeglasses", "flip-flops", "galoshes", "glasses", "goggles", "headphones",
        "jeans", "knickers", "leggings", "outdoors", "overalls", "pajamas", "panties", "pants",
        "people", "pliers", "pyjamas", "pyrotechnics", "rapids", "ruins", "scissors",
        "shears", "shorts", "slacks", "spectacles", "stairs", "stilts", "suspenders", "sunglasses",
        "sweatpants", "tights", "tongs", "trousers", "tweezers", "undies", "woods",
    }
)  # fmt: skip

# Plurals that simplemma takes for verbs or does not know.
SINGULARS = {
    "bass": "bass", "calves": "calf", "crosses": "cross", "elves": "elf", "halves": "half",
    "leaves": "leaf", "lenses": "lens", "loaves": "loaf", "poles": "pole", "shelves": "shelf",
    "skies": "sky", "tattoos": "tattoo", "thieves": "thief", "wives": "wife",
}  # fmt: skip


def normalise(text: str) -> str:
    """Bring a tag or a word into its one spelling.

    Caseless (Unicode case folding, canonical caseless form of the Unicode standard, section 3.13),
    composed (NFC), a plain apostrophe, runs of white space and underscores as one space and none
    at the ends. Applying it twice changes nothing.
    """
    folded = unicodedata.normalize("NFD", text.replace("’", "'")).casefold()
    return _GAPS.sub(" ", unicodedata.normalize("NFC", folded)).strip()


def tokens(text: str) -> list[str]:
    """Split text into its normalised words; inner hyphens and apostrophes stay.

    >>> tokens("A dog_house, the Potter's T-shirt.")
    ['a', 'dog', 'house', 'the', "potter's", 't-shirt']
    """
    return _TOKEN.findall(normalise(text))


@lru_cache(maxsize=1 << 16)
def singular(word: str) -> str:
    """Singular of a normalised English noun or compound; any other word is left as it is.

    The last token decides, as English compounds do: fire engines → fire engine. Its lemma is
    taken only where it ends like a plural, so that a verb form (bowling, lit) is no noun (bowl).
    A noun without a singular (shorts, sunglasses) stays.
    """
    head, gap, last = word.rpartition(" ")
    if last in PLURAL_ONLY or not last.endswith(_PLURAL_ENDINGS):
        return word
    lemma = SINGULARS.get(last) or simplemma.lemmatize(last, lang="en")
    return head + gap + normalise(lemma)


def changes(text: str) -> tuple[str, ...]:
    """Name what `normalise` changes in a text: of "unicode", "case" and "space" those that apply.

    >>> changes("Hot  Dog")
    ('case', 'space')
    """
    plain = unicodedata.normalize("NFC", text.replace("’", "'"))
    kinds = {
        "unicode": plain != text,
        "case": plain.casefold() != plain,
        "space": _GAPS.sub(" ", plain).strip() != plain,
    }
    found = tuple(kind for kind, applies in kinds.items() if applies)
    return found or (("unicode",) if normalise(text) != text else ())
