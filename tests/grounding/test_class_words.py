"""Classes of a dataset as words of a classifier."""

import pytest

from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding.class_words import class_words

VOCABULARY = Vocabulary(
    (("tabby", "tabby cat"), ("dog",), ("tv",)),
    (("cat", "animal", "thing"), ("animal", "thing"), ("thing",)),
)


def test_known_general_renamed_and_absent() -> None:
    found, absent = class_words(
        ["dog", "cat", "person", "tvmonitor", "thing"], VOCABULARY, {"tvmonitor": "tv"}
    )
    assert {label: match.classes for label, match in found.items()} == {
        "dog": (1,), "cat": (0,), "tvmonitor": (2,),
    }  # fmt: skip
    assert absent == ("person", "thing")  # a word for everything points at nothing


def test_class_that_captions_mean_otherwise_is_asked() -> None:
    found, _ = class_words(["can"], Vocabulary.from_tags(["can", "bottle"]), {})
    assert found["can"].classes == (0,)


@pytest.mark.parametrize(
    ("labels", "renamed", "message"),
    [
        (["dog"], {"cta": "cat"}, "classes.cta: the dataset has no such class; it has dog"),
        (["dog", "cat"], {"cat": "tabyb"}, "classes.cat=tabyb.*nearest words: tabby"),
        (["person"], {}, "knows none of the dataset's classes: person"),
    ],
)
def test_unusable(labels: list[str], renamed: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        class_words(labels, VOCABULARY, renamed)
