import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding.words import WordMatch, caption_words, resolve

IMAGENET = Vocabulary.imagenet()

# Everyday nouns and the ImageNet classes a person would expect, checked by hand against the list
# of classes. Ranges are runs of class indices.
EVERYDAY: dict[str, list[int]] = {
    "cat": list(range(281, 288)),  # five domestic cats, cougar, lynx
    "domestic cat": list(range(281, 286)),
    "dog": list(range(151, 269)),
    "terrier": list(range(179, 205)),
    "wolf": [269, 270, 271, 272],
    "fox": [277, 278, 279, 280],
    "bear": [294, 295, 296, 297],
    "elephant": [385, 386],
    "rabbit": [330, 332],
    "whale": [147, 148],
    "seal": [150],
    "shark": [2, 3, 4],
    "frog": [30, 31, 32],
    "turtle": [33, 34, 35, 36, 37],
    "snake": list(range(52, 69)),
    "lizard": list(range(38, 49)),
    "spider": list(range(72, 78)),
    "butterfly": list(range(321, 327)),
    "parrot": [87, 88, 89, 90],
    "owl": [24],
    "duck": [97, 98],
    "horse": [339],
    "sheep": [348],
    "pig": [341],
    "crane": [134, 517],  # bird and machine
    "mouse": [673],  # the computer's: no other is a class
    "bus": [654, 779, 874],
    "bicycle": [444, 671],
    "airplane": [404],
    "boat": [472, 554, 576, 625, 814, 914],
    "ship": [403, 510, 628, 724, 833, 913],
    "cup": [968],
    "mug": [504],
    "glass": [441, 572],
    "bottle": [440, 720, 737, 898, 899, 901, 907],
    "bowl": [659, 809],
    "pan": [567, 909],
    "pot": [469, 505, 738, 849],  # cooking pots and flowerpot
    "teapot": [849],
    "chair": [423, 559, 765, 857],
    "sofa": [831],
    "table": [526, 532, 736],
    "clock": [409, 530, 892],
    "keyboard": [508, 878],
    "phone": [487, 528, 707],
    "camera": [732, 759],
    "guitar": [402, 546],
    "piano": [579, 881],
    "laptop": [620],
    "television": [851],
    "apple": [948],
    "banana": [954],
    "orange": [950],
    "pizza": [963],
    "sandwich": [933, 934],
    "espresso": [967],
    "coffee": [967],
    "wine": [966],
    "ice cream": [928],
    "flower": [985, 986],
    "mountain": [970, 980],
    "volcano": [980],
    "bridge": [821, 839, 888],
    "church": [497],
    "castle": [483],
    "hat": [439, 452, 515, 808],
    "shoe": [630, 770, 774],
    "tie": [451, 457, 906],
    "coat": [568, 617, 869],
    "dress": [578],
    "skirt": [601, 655, 689, 775],
    "jeans": [608],
    "glasses": [836, 837],
    "sunglasses": [836, 837],
    "umbrella": [879],
    "backpack": [414],
    "bag": [414, 636, 728, 748, 797],
    "person": [981, 982, 983],
    "ball": [429, 430, 522, 574, 722, 747, 768, 805, 852, 890],
    "balloon": [417],
    "gun": [413, 471, 763, 764],
    "hammer": [587],
    "toy": [843, 850],
    "kite": [21],
    "drum": [541],
    "violin": [889],
    "lemon": [951],
    "mushroom": [947],
    "lion": [291],
    "bee": [309],
    "computer": [527, 590, 620, 681, 798, 916],  # and slide rule, web site
    "car": [407, 436, 468, 511, 609, 627, 656, 661, 751, 817],
    "truck": [555, 569, 656, 675, 717, 734, 864, 867],
    "wheel": [479, 694, 723, 739],
    "lamp": [470, 607, 818, 846],
    "plane": [404, 726],
    "candle": [470],
    "pillow": [721],
}
SIZES = {
    "bird": 59, "fish": 16, "insect": 27, "monkey": 13, "animal": 398, "vehicle": 67, "fruit": 16,
    "vegetable": 13, "food": 47, "building": 14, "clothing": 49, "furniture": 22, "tool": 14,
    "musical instrument": 26, "mammal": 218, "reptile": 36,
}  # fmt: skip


@pytest.mark.parametrize("word", EVERYDAY)
def test_everyday_nouns(word: str) -> None:
    assert list(resolve(word, IMAGENET).classes) == EVERYDAY[word]


@pytest.mark.parametrize("word", SIZES)
def test_general_nouns(word: str) -> None:
    assert len(resolve(word, IMAGENET).classes) == SIZES[word]


def test_wrong_senses_stay_out() -> None:
    names = {
        name for word in ("cat", "food", "bird", "fruit") for name in resolve(word, IMAGENET).names
    }
    assert not names & {"tractor", "shuttlecock", "car", "drumstick"}
    for word in ("arm", "shell", "wood", "key", "jacket", "jack", "man", "surface"):
        assert word not in IMAGENET.by_hypernym
        assert word not in IMAGENET.by_name


def test_how_a_word_was_found() -> None:
    espresso = WordMatch("Espresso ", (967,), ("espresso",), "exact")
    assert resolve("Espresso ", IMAGENET) == espresso
    assert resolve("cranes", IMAGENET).how == "lemma"
    assert resolve("fire_engines", IMAGENET) == WordMatch(
        "fire_engines", (555,), ("fire engine",), "lemma"
    )
    assert resolve("dogs", IMAGENET).how == "hypernym"
    assert resolve("dogs", IMAGENET).classes == resolve("dog", IMAGENET).classes


def test_a_plural_in_the_vocabulary_is_a_word_of_its_own() -> None:
    vocabulary = Vocabulary.from_tags(["short", "shorts", "glass", "glasses", "dog"])
    for word, index in {"short": 0, "shorts": 1, "glass": 2, "glasses": 3, "dogs": 4}.items():
        assert resolve(word, vocabulary).classes == (index,)


@pytest.mark.parametrize("word", ["object", "artifact", "entity", "whole"])
def test_too_general_words_are_refused(word: str) -> None:
    with pytest.raises(UserError, match=r"covers \d+ of the 1000 classes.*more specific"):
        resolve(word, IMAGENET)


def test_a_tag_is_never_too_general() -> None:
    assert resolve("object", Vocabulary.from_tags(["object"])).classes == (0,)


@pytest.mark.parametrize(
    ("word", "nearest"), [("esspreso", "espresso"), ("catt", "cat"), ("umbrela", "umbrella")]
)
def test_an_unknown_word_names_the_nearest(word: str, nearest: str) -> None:
    with pytest.raises(
        UserError, match=f"'{word}' is not in the vocabulary; nearest words: .*{nearest}"
    ) as caught:
        resolve(word, IMAGENET)
    assert "\n" not in str(caught.value)


def test_caption_words_in_order_longest_first_without_repeats() -> None:
    caption = "Two dogs eat a hot dog near a Fire_Engine, and the dogs like the hot dog."
    assert caption_words(caption, IMAGENET) == ["dogs", "hot dog", "fire engine"]
    assert caption_words("An object that you can see", IMAGENET) == []
    assert caption_words("", IMAGENET) == []


def test_caption_words_take_no_verb_for_a_noun() -> None:
    assert caption_words("A man wearing jeans is riding and bowling", IMAGENET) == ["jeans"]


@given(st.text() | st.lists(st.sampled_from([*EVERYDAY, "a", "with", ","])).map(" ".join))
def test_every_caption_word_resolves(caption: str) -> None:
    words = caption_words(caption, IMAGENET)
    assert len(set(words)) == len(words)
    for word in words:
        assert resolve(word, IMAGENET).classes
