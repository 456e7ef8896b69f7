import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.text import PLURAL_ONLY, SINGULARS, normalise, singular, tokens


@given(st.text())
def test_normalise_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text())
def test_normalise_is_blind_to_case_and_composition(text: str) -> None:
    once = normalise(text)
    assert normalise(unicodedata.normalize("NFD", text)) == once
    assert normalise(text.casefold()) == once
    assert unicodedata.is_normalized("NFC", once)


@given(st.text(), st.sampled_from([" ", "_", "\t", "\u00a0", "\n ", "__"]), st.text())
def test_any_gap_is_one_space(left: str, gap: str, right: str) -> None:
    assert normalise(left + gap + right) == normalise(left + " " + right)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Golden_Retriever ", "golden retriever"),
        ("CAFE\u0301", "caf\u00e9"),
        ("Straße", "strasse"),
        ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
        ("potter’s  wheel", "potter's wheel"),
        ("_", ""),
    ],
)
def test_normalise_examples(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_tokens() -> None:
    assert tokens("A dog_house, the Potter’s T-shirt!") == [
        "a", "dog", "house", "the", "potter's", "t-shirt",
    ]  # fmt: skip
    assert tokens("… — ,") == []
    assert tokens("'quoted' -dash-") == ["quoted", "dash"]


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("dogs", "dog"),
        ("buses", "bus"),
        ("knives", "knife"),
        ("women", "woman"),
        ("mice", "mouse"),
        ("fire engines", "fire engine"),
        ("men", "man"),
        ("leaves", "leaf"),  # not leave
        ("skies", "sky"),  # not ski
        ("skis", "ski"),
        ("night skies", "night sky"),
        ("shorts", "shorts"),  # these have no singular
        ("glasses", "glasses"),
        ("people", "people"),
        ("ski pants", "ski pants"),
        ("bus", "bus"),
        ("glass", "glass"),
        ("bowling", "bowling"),  # verb forms are no plurals
        ("lit", "lit"),
        ("", ""),
    ],
)
def test_singular(plural: str, expected: str) -> None:
    assert singular(plural) == expected


@pytest.mark.parametrize("word", sorted(PLURAL_ONLY | SINGULARS.keys()))
def test_a_singular_has_no_singular(word: str) -> None:
    assert singular(singular(word)) == singular(word)


@given(st.text())
def test_singular_is_normalised(text: str) -> None:
    word = singular(normalise(text))
    assert normalise(word) == word
