import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from timm.data import ImageNetInfo

from data_prep.errors import UserError
from data_prep.text import normalise
from data_prep.vocabulary import IMAGENET_TABLE, Vocabulary

WORDNET = Path("/usr/share/wordnet")
IMAGENET = Vocabulary.imagenet()


def test_imagenet_order_and_names_agree_with_timm() -> None:
    info = ImageNetInfo()
    rows = json.loads(IMAGENET_TABLE.read_text(encoding="utf-8"))
    assert [row["wnid"] for row in rows] == info.label_names()
    for row, description in zip(rows, info.label_descriptions(), strict=True):
        assert row["names"][0] == normalise(description.split(", ")[0])


@pytest.mark.skipif(not WORDNET.is_dir(), reason="WordNet 3.0 (Debian's wordnet-base) is missing")
def test_the_script_rebuilds_the_imagenet_table(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    script = root / "scripts" / "make_imagenet_table.py"
    command = [sys.executable, str(script), str(WORDNET), "--out", str(tmp_path / "table.json")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(root)})
    assert (tmp_path / "table.json").read_bytes() == IMAGENET_TABLE.read_bytes()


def test_imagenet_is_normalised_and_complete() -> None:
    assert len(IMAGENET) == 1000
    assert all(IMAGENET.names)
    assert all("entity" in hypernyms for hypernyms in IMAGENET.hypernyms)
    for words in (*IMAGENET.names, *IMAGENET.hypernyms):
        assert all(word == normalise(word) for word in words)
        assert len(set(words)) == len(words)


def test_classes_of_a_name_and_of_a_general_word() -> None:
    assert IMAGENET.by_name["crane"] == (134, 517)
    assert IMAGENET.by_hypernym["dog"] == tuple(range(151, 269))


def test_saved_vocabulary_loads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    for vocabulary in (
        IMAGENET,
        Vocabulary.from_tags(["Golden_Gate", "sunset", "a, b", 'say "hi"']),
    ):
        vocabulary.save(path)
        assert Vocabulary.load(path) == vocabulary
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4 + 2  # a line per class


def test_tags_that_normalise_alike_are_refused() -> None:
    with pytest.raises(UserError, match="golden gate"):
        Vocabulary.from_tags(["Golden_Gate", "golden gate"])
    with pytest.raises(UserError, match="empty"):
        Vocabulary.from_tags(["_"])


@pytest.mark.parametrize(
    "content",
    [
        "no json", "{}", "[]", "[1]", '[{"names": []}]', '[{"name": ["a"]}]', '[{"names": "ab"}]',
        '[{"names": [1]}]', '[{"names": ["a"], "hypernyms": 3}]', '[{"names": [""]}]', "\xff",
    ],
)  # fmt: skip
def test_a_file_that_is_no_vocabulary(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"vocabulary\.json: ") as caught:
        Vocabulary.load(path)
    assert "\n" not in str(caught.value)


def test_missing_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.json: cannot be read"):
        Vocabulary.load(tmp_path / "nowhere.json")


def test_nearest() -> None:
    assert IMAGENET.nearest("Esspreso")[0] == "espresso"
    assert IMAGENET.nearest("xyzzyq") == []
