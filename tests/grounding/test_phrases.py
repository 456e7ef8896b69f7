import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import UserError
from data_prep.text import tokens
from data_prep.vocabulary import Vocabulary
from grounding.head_nouns import ENDS
from grounding.phrases import PhraseResolver
from tests.data_prep.tiny_wordnet import write_wordnet

TAGS = (
    "man", "woman", "boy", "girl", "people", "person", "child", "dog", "hat", "shirt", "red",
    "blue", "white", "black", "dress", "shorts", "short", "stairs", "street", "tree", "face",
    "wall", "water", "horse", "jersey", "run", "jump", "ride", "young", "t-shirt", "glass",
    "glasses", "car", "truck", "bus", "food", "skateboard", "ice cream", "fire truck", "hot dog",
    "street sign", "ball", "bike", "potter's wheel", "wheel", "baseball player", "player", "café",
    "short hair", "hair", "swing", "playground", "old", "leaf", "scissors", "foot", "sunglasses",
    "jeans", "pants", "running shoe", "shoe",
)  # fmt: skip
RESOLVER = PhraseResolver(Vocabulary.from_tags(TAGS), pronouns=True)
IMAGENET = PhraseResolver(Vocabulary.imagenet())


@dataclass(frozen=True)
class Case:
    phrase: str
    words: str
    head: int | None
    head_noun: str | None
    dropped: tuple[str, ...] = ()
    backed_off: tuple[tuple[str, str], ...] = ()


CASES = [
    Case("a man in a red shirt", "man | red | shirt", 0, "man"),
    Case("a group of people", "people", 0, "people", ("group",)),
    Case("a set of stairs", "stairs", 0, "stairs", ("set",)),
    Case("young boy's face", "young | boy | face", 2, "face"),
    Case("the young boys' faces", "young | boys | faces", 2, "faces"),
    Case("Two hot dogs", "hot dogs", 0, "dogs"),
    Case("a hot dog", "hot dog", 0, "dog"),
    Case("two fire trucks", "fire trucks", 0, "trucks"),
    Case("his shorts", "shorts", 0, "shorts"),
    Case("short hair", "short hair", 0, "hair"),
    Case("a woman with short hair", "woman | short hair", 0, "woman"),
    Case("a man wearing glasses", "man | glasses", 0, "man", ("wearing",)),
    Case("glasses of water", "glasses | water", 0, "glasses"),
    Case("a tree lined street", "tree | street", 1, "street", ("lined",)),
    Case("a snow covered wall", "wall", 0, "wall", ("snow", "covered")),
    Case("a scruffy looking man", "man", 0, "man", ("scruffy", "looking")),
    Case("an outside wall", "wall", 0, "wall", ("outside",)),
    Case("number 5 jersey", "jersey", 0, "jersey", ("number",)),
    Case("he", "man", 0, None, (), (("he", "man"),)),
    Case("her", "woman", 0, None, (), (("her", "woman"),)),
    Case("her hat", "hat", 0, "hat"),
    Case("his blue and white hat", "blue | white | hat", 2, "hat"),
    Case("someone in a hat", "person | hat", 0, None, (), (("someone", "person"),)),
    Case("one of the men", "men", 0, "men"),
    Case("another man", "man", 0, "man"),
    Case("they", "people", 0, None, (), (("they", "people"),)),
    Case("themselves", "people", 0, None, (), (("themselves", "people"),)),
    Case("it", "", None, None),
    Case("a high-five", "", None, None),
    Case("a men's t-shirt", "men | t-shirt", 1, "t-shirt"),
    Case("the dog's", "dog", 0, "dog"),
    Case("a dog, cat", "dog", 0, "dog", ("cat",)),
    Case("man and woman", "man | woman", 0, "man"),
    Case("leaves", "leaves", 0, "leaves"),
    Case("the man who rides a horse", "man | rides | horse", 0, "man"),
    Case("men chat", "men", 0, "men", ("chat",)),
    Case("her pink dress", "dress", 0, "dress", ("pink",)),
    Case("baseball players", "baseball players", 0, "players"),
    Case("the potter's wheel", "potter's wheel", 0, "wheel"),
    Case("a café", "café", 0, "café"),
    Case("a CAFÉ", "café", 0, "café"),
    Case("CAFÉ", "café", 0, "café"),
    Case("🐶 dog", "dog", 0, "dog"),
    Case("!!!", "", None, None),
    Case("", "", None, None),
    Case("123", "", None, None),
    Case("2 dogs", "dogs", 0, "dogs"),
    Case("the white one", "white", None, None),
    Case("black/white dog", "black | white | dog", 2, "dog"),
    Case("dog_face", "dog | face", 1, "face"),
    Case("the boy’s “hat”", "boy | hat", 1, "hat"),
    Case("jumping dog", "dog", 0, "dog", ("jumping",)),
    Case("the riders", "", None, "riders", ("riders",)),
    Case("feet", "feet", 0, "feet"),
    Case("a picture of a dog", "dog", 0, "dog", ("picture",)),
    Case("xyzzy plugh", "", None, "plugh", ("xyzzy", "plugh")),
    Case("red", "red", 0, "red"),
    Case("the red", "red", 0, "red"),
    Case("people on bikes", "people | bikes", 0, "people"),
    Case("scissors", "scissors", 0, "scissors"),
    Case("a pair of scissors", "scissors", 0, "scissors", ("pair",)),
    Case("a bunch of old horses", "old | horses", 1, "horses", ("bunch",)),
    Case("a running shoe", "running shoe", 0, "shoe"),
    Case("running shoes", "running shoes", 0, "shoes"),
    Case("running dogs", "running | dogs", 1, "dogs"),
    Case("man holding a ball", "man | ball", 0, "man", ("holding",)),
    Case("man riding a horse", "man | riding | horse", 0, "man"),
    Case("dog that jumps", "dog | jumps", 0, "dog"),
    Case("three of them", "people", 0, None, (), (("them", "people"),)),
    Case("a couple", "", None, "couple", ("couple",)),
    Case("a couple of kids", "", None, "kids", ("couple", "kids")),
    Case("front", "", None, "front"),
    Case("the dog dog dogs", "dog", 0, "dogs"),
    Case("a glass of water", "glass | water", 0, "glass"),
    Case("man standing", "man", 0, "man", ("standing",)),
    Case("a child eating ice cream", "child | ice cream", 0, "child", ("eating",)),
    Case("a woman , man", "woman | man", 0, "woman"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.phrase)
def test_phrases(case: Case) -> None:
    found = RESOLVER(case.phrase, 0, len(case.phrase))
    assert " | ".join(match.word for match in found.words) == case.words
    assert (found.head, found.head_noun) == (case.head, case.head_noun)
    assert (found.dropped, found.backed_off) == (case.dropped, case.backed_off)
    assert found.out_of_vocabulary == (case.words == "")


def test_shorts_are_not_short() -> None:
    resolver = PhraseResolver(Vocabulary.from_tags(["short", "glass", "stair"]))
    for phrase in ("his shorts", "her glasses", "the stairs"):
        found = resolver(phrase, 0, len(phrase))
        assert (found.words, found.dropped) == ((), (phrase.split()[1],))


def test_the_caption_decides_what_a_word_is() -> None:
    resolver = PhraseResolver(Vocabulary.from_tags(["boy"]))
    caption = "A boy swings on a swing ."
    start = caption.index("a swing")
    assert resolver(caption, start, start + 7).head_noun == "swing"
    assert resolver(caption, 0, 5).head_noun == "boy"


def test_only_the_phrase_is_resolved() -> None:
    caption = "A man's dog, a red car and ß a blue hat"
    for phrase, words in {
        "man": ["man"],
        "a red car": ["red", "car"],
        "blue hat": ["blue", "hat"],
    }.items():
        start = caption.index(phrase)
        found = RESOLVER(caption, start, start + len(phrase))
        assert [match.word for match in found.words] == words
    assert RESOLVER(caption, 3, 3).out_of_vocabulary
    assert RESOLVER(caption, 500, 600).out_of_vocabulary


def test_several_classes_and_verbs_in_imagenet() -> None:
    found = IMAGENET("two dogs by a fire engine", 0, 25)
    assert [(match.word, len(match.classes)) for match in found.words] == [
        ("dogs", 118),
        ("fire engine", 1),
    ]
    # A verb's lemma names no thing there; an object is too general to point at.
    found = IMAGENET("a man watching an object", 0, 24)
    assert found.out_of_vocabulary
    assert found.dropped == ("man", "watching", "object")


def test_pronouns_only_if_asked_for() -> None:
    found = PhraseResolver(Vocabulary.from_tags(TAGS))("him", 0, 3)
    assert (found.words, found.dropped, found.backed_off) == ((), (), ())


def test_back_off_to_wordnet(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = str(write_wordnet(tmp_path_factory.mktemp("wordnet")))
    vocabulary = Vocabulary.from_tags(["red", "dog", "car", "truck"])
    resolver = PhraseResolver(vocabulary, backoff="wordnet", wordnet=folder)
    for phrase, words, used, dropped in [
        ("two puppies by a red car", ["dog", "red", "car"], ["dog"], ()),
        ("a red sword", ["red"], [], ("sword",)),
        ("a vehicle puppy", ["dog"], ["dog"], ("vehicle",)),
        ("the beast", ["dog"], ["dog"], ()),
    ]:
        found = resolver(phrase, 0, len(phrase))
        assert [match.word for match in found.words] == words
        assert found.backed_off == tuple((found.head_noun, word) for word in used)
        assert found.dropped == dropped
        assert found.head == (0 if used else None)
    found = resolver("red vehicles", 0, 12)
    assert [(match.word, match.names, match.how) for match in found.words] == [
        ("red", ("red",), "exact"),
        ("vehicles", ("car", "truck"), "hypernym"),
    ]
    assert found.backed_off == (("vehicles", "car"), ("vehicles", "truck"))
    assert (found.head, found.head_noun, found.dropped) == (1, "vehicles", ())


def test_wrong_settings() -> None:
    vocabulary = Vocabulary.from_tags(["dog"])
    with pytest.raises(UserError, match="hanta"):
        PhraseResolver(vocabulary, tagger="spacy")
    with pytest.raises(UserError, match="none or wordnet"):
        PhraseResolver(vocabulary, backoff="thesaurus")  # type: ignore[arg-type]


PARTS = (
    *TAGS, "a", "the", "of", "'s", "’s", "'", '"', "``", "''", ",", "one", "her", "who", "with",
    "group", "dogs", "🐶", "é", "e\u0301", "_", "-", "x" * 60, "can't", "(", "<", "…",
)  # fmt: skip


@given(st.text() | st.lists(st.sampled_from(PARTS)).map(" ".join), st.data())
def test_any_text(caption: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(caption)))
    end = data.draw(st.integers(start, len(caption)))
    found = RESOLVER(caption, start, end)
    classes = [match.classes for match in found.words]
    assert len(set(classes)) == len(classes)
    assert all(match.names == (TAGS[match.classes[0]],) for match in found.words)
    assert found.head is None or 0 <= found.head < len(classes)
    assert not {match.word for match in found.words} & set(found.dropped)
    assert start < end or found.out_of_vocabulary


@given(st.lists(st.sampled_from(TAGS)), st.sampled_from([" , ", ", ", "; ", " and "]))
def test_all_vocabulary_words_are_found(tags: list[str], gap: str) -> None:
    caption = f"They see {gap.join(tags)} ."
    found = RESOLVER(caption, 9, len(caption) - 2)
    assert [match.word for match in found.words] == list(dict.fromkeys(tags))
    assert all(match.how == "exact" for match in found.words)


@pytest.mark.real_data
def test_real_noun_phrases_end_in_their_heads(real_data: Path) -> None:
    # English puts the head last, save before a preposition; the captions' phrases are short.
    counts: Counter[bool] = Counter()
    for path in sorted(real_data.glob("flickr30k_entities_dev/Sentences/*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            caption = re.sub(r"\[/EN#\S+ ([^]]*)\]", r"\1", line)
            for phrase in re.findall(r"\[/EN#\S+ ([^]]*)\]", line):
                if len(words := tokens(phrase)) > 1 and not ENDS & {*words} and "of" not in words:
                    start = caption.index(phrase)
                    found = RESOLVER(caption, start, start + len(phrase))
                    counts[found.head_noun == words[-1]] += 1
    assert counts[True] > 500
    assert counts[False] <= 0.02 * counts.total(), counts
