"""Classes of a dataset as words of a classifier."""

import json

import pytest

from data_prep.errors import UserError
from data_prep.imagenet_boxes import labels_by_wnid
from data_prep.vocabulary import IMAGENET_TABLE, Vocabulary
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


def test_imagenets_own_classes_are_its_outputs() -> None:
    """Some of their names are shared (crane), others cover further classes (tank)."""
    labels = labels_by_wnid()
    found, absent = class_words(
        tuple(labels.values()), Vocabulary.imagenet(), {"tank": "submarine"}
    )
    wnids = [row["wnid"] for row in json.loads(IMAGENET_TABLE.read_text())]
    assert absent == ()
    assert list(found) == list(labels.values())
    outputs = {wnid: found[label].classes for wnid, label in labels.items()}
    tank = outputs.pop(wnids[847])
    assert outputs == {wnid: (n,) for n, wnid in enumerate(wnids) if n != 847}
    assert tank == (833,)  # renamed
    machine = found["crane (n03126707)"]
    assert (machine.word, machine.names, machine.how) == ("crane (n03126707)", ("crane",), "exact")


def test_names_in_another_order_are_words() -> None:
    found, _ = class_words(["dog", "cat", "tv"], VOCABULARY, {})
    assert {label: match.classes for label, match in found.items()} == {
        "dog": (1,), "cat": (0,), "tv": (2,),
    }  # fmt: skip
    found, absent = class_words(["tabby (1)", "dog"], VOCABULARY, {})
    assert (list(found), absent) == (["dog"], ("tabby (1)",))
    found, _ = class_words(["tabby cat (1)", "dog", "TV (x)"], VOCABULARY, {})
    assert [match.classes for match in found.values()] == [(0,), (1,), (2,)]


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
