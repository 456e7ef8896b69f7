"""The choice of tagger. NLTK's tagger gets data trained here, so that nothing is downloaded."""

import random
from collections.abc import Iterator
from pathlib import Path

import nltk.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.tag.perceptron import PerceptronTagger

from data_prep import word_classes
from data_prep.captions import LONGEST_WORD, CaptionTagger
from data_prep.errors import UserError
from data_prep.word_classes import C5_OF_PENN, PARTS_OF_SPEECH, TAGGERS

# Tagged by hand, in the tags of the Penn Treebank.
SENTENCES = [
    "a/DT brown/JJ dog/NN runs/VBZ in/IN the/DT snow/NN",
    "two/CD dogs/NNS are/VBP playing/VBG on/IN a/DT beach/NN",
    "the/DT bigger/JJR boys/NNS wore/VBD red/JJ shorts/NNS",
    "a/DT man/NN was/VBD sitting/VBG by/IN a/DT fire/NN engine/NN",
    "three/CD men/NNS eat/VBP hot/JJ dogs/NNS",
    "the/DT smallest/JJS girl/NN has/VBZ thrown/VBN a/DT ball/NN",
    "a/DT boy/NN rides/VBZ with/IN peter/NNP",
    "some/DT people/NNS want/VBP to/TO swim/VB",
    "the/DT woman/NN does/VBZ not/RB look/VB up/RB",
    "leaves/NNS fall/VBP slowly/RB from/IN the/DT trees/NNS",
]
RESOURCE = "averaged_perceptron_tagger_eng"


@pytest.fixture
def nltk_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let NLTK look for its data in an empty folder only."""
    folder = tmp_path / "nltk_data"
    folder.mkdir(mode=0o700)  # NLTK takes no data from a folder that others can write to
    monkeypatch.setattr(nltk.data, "path", [str(folder)])
    word_classes._perceptron.cache_clear()
    yield folder
    word_classes._perceptron.cache_clear()


@pytest.fixture
def trained(nltk_data: Path) -> None:
    """Train NLTK's tagger on the sentences and save it where NLTK looks for it."""
    tagged = [[tuple(word.split("/")) for word in line.split()] for line in SENTENCES]
    random.seed(0)  # training shuffles
    tagger = PerceptronTagger(load=False)
    tagger.train(tagged, nr_iter=20)
    folder = nltk_data / "taggers" / RESOURCE
    folder.parent.mkdir(mode=0o700)
    tagger.save_to_json(lang="eng", loc=str(folder))


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("caption", "nouns", "adjectives", "verbs"),
    [
        ("A brown dog runs in the snow .", ["dog", "snow"], ["brown"], ["run"]),
        ("Two dogs are playing on a beach .", ["dog", "beach"], [], ["play"]),
        ("The bigger boys wore red shorts .", ["boy", "shorts"], ["big", "red"], ["wear"]),
        ("A man was sitting by a fire engine .", ["man", "fire engine"], [], ["sit"]),
        ("Three men eat hot dogs .", ["man", "hot dog"], [], ["eat"]),
        ("The smallest girl has thrown a ball", ["girl", "ball"], ["small"], ["throw"]),
        ("A boy rides with Peter", ["boy", "peter"], [], ["ride"]),
        ("Some people want to swim", ["people"], [], ["want", "swim"]),
        ("The woman does not look up", ["woman"], [], ["look"]),
        ("Leaves fall slowly from the trees", ["leaf", "tree"], [], ["fall"]),
        ("", [], [], []),
    ],
)
def test_tags_by_nltk(
    caption: str, nouns: list[str], adjectives: list[str], verbs: list[str]
) -> None:
    for part, expected in [("noun", nouns), ("adjective", adjectives), ("verb", verbs)]:
        assert CaptionTagger((part,), tagger="nltk").tags(caption) == expected


@pytest.mark.usefixtures("trained")
def test_the_tagger_decides() -> None:
    # To the few sentences of the training "a" is followed by a noun, whatever the word is.
    assert CaptionTagger(tagger="nltk").tags("a slowly") == ["slowly"]
    assert CaptionTagger(tagger="hanta").tags("a slowly") == []


@pytest.mark.usefixtures("nltk_data")
def test_missing_data_of_nltk_are_no_reason_to_take_the_other_tagger() -> None:
    tagger = CaptionTagger(tagger="nltk")
    for _ in range(2):  # the failure is not remembered as a tagger
        with pytest.raises(UserError, match=f"python -m nltk.downloader {RESOURCE}$") as caught:
            tagger.tags("a dog")
        assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("trained")
def test_damaged_data_of_nltk(nltk_data: Path) -> None:
    weights = nltk_data / "taggers" / RESOURCE / "averaged_perceptron_tagger_eng.weights.json"
    weights.write_text(weights.read_text()[:100])
    with pytest.raises(UserError, match="no usable data"):
        CaptionTagger(tagger="nltk").tags("a dog")


def test_an_unknown_tagger() -> None:
    with pytest.raises(UserError, match=r"data\.tagger=spacy: give one of hanta, nltk"):
        CaptionTagger(tagger="spacy")


def test_every_class_of_penn_is_one_of_a_part_of_speech() -> None:
    parts = {"NN": "noun", "JJ": "adjective", "VB": "verb"}
    for penn, kind in C5_OF_PENN.items():
        assert kind in PARTS_OF_SPEECH[parts[penn[:2]]]


VERBS = {
    "play": ["plays", "playing", "played"], "sit": ["sits", "sitting", "sat"],
    "hang": ["hangs", "hanging", "hung"], "wrestle": ["wrestles", "wrestling", "wrestled"],
    "ride": ["rides", "riding", "rode"], "carry": ["carries", "carrying", "carried"],
    "throw": ["throws", "throwing", "threw"], "run": ["runs", "running", "ran"],
    "ski": ["skis", "skiing", "skied"], "smile": ["smiles", "smiling", "smiled"],
    "catch": ["catches", "catching", "caught"], "swim": ["swims", "swimming", "swam"],
    "lie": ["lies", "lying", "lay"], "fly": ["flies", "flying", "flew"],
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_lemmas_of_verbs(verb: str) -> None:
    lemmas = map(word_classes._lemma, VERBS[verb], ["VVZ", "VVG", "VVD"])
    assert list(lemmas) == [verb] * 3


@settings(deadline=None)
@given(st.text(min_size=1, max_size=LONGEST_WORD), st.sampled_from(sorted(C5_OF_PENN.values())))
def test_any_word_has_a_lemma(word: str, kind: str) -> None:
    assert isinstance(word_classes._lemma(word, kind), str)


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("tagger", TAGGERS)
def test_a_tagger_keeps_the_words(tagger: str) -> None:
    words = ["a", "dog", "q-7", "ß", "''", "1999"]
    assert [word for word, _, _ in TAGGERS[tagger](words)] == words
    assert TAGGERS[tagger]([]) == []
