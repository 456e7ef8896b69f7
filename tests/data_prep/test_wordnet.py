import shutil
from pathlib import Path

import pytest

from data_prep.errors import UserError
from data_prep.wordnet import WordNet
from tests.data_prep.tiny_wordnet import write_wordnet

DEBIAN = Path("/usr/share/wordnet")


@pytest.fixture(scope="module")
def wordnet(tmp_path_factory: pytest.TempPathFactory) -> WordNet:
    return WordNet.open(str(write_wordnet(tmp_path_factory.mktemp("wordnet"))))


@pytest.mark.parametrize(
    ("noun", "known", "nearest"),
    [
        ("automobile", {"car"}, ("car",)),
        ("Automobiles", {"car"}, ("car",)),
        ("domestic dogs", {"dog"}, ("dog",)),
        ("fire engine", {"fire truck", "truck"}, ("fire truck",)),
        ("puppy", {"animal", "dog"}, ("dog",)),
        ("whelp", {"animal"}, ("animal",)),
        ("pet", {"vehicle", "dog", "animal"}, ("animal",)),  # the first known one a step up
        ("puppy", {"living thing", "object", "entity"}, ("living thing",)),
        ("puppy", {"object", "whole", "entity"}, ()),  # too general
        ("vehicle", {"car", "truck", "fire truck", "dog"}, ("car", "truck", "fire truck")),
        ("vehicle", {"artifact", "car"}, ("artifact",)),  # up before down
        ("object", {"car", "dog"}, ()),  # too general itself
        ("sword", {"arm"}, ()),  # an arm is first of all a part of the body
        ("frank", {"dog"}, ()),
        ("whelp", set(), ()),
        ("xyzzy", {"dog"}, ()),
        ("", {"dog"}, ()),
    ],
)
def test_nearest_known_words(
    wordnet: WordNet, noun: str, known: set[str], nearest: tuple[str, ...]
) -> None:
    assert wordnet.nearest(noun, known.__contains__) == nearest


def test_four_steps_are_the_limit(wordnet: WordNet) -> None:
    # whelp → puppy → dog → animal → living thing, which is four below the root.
    assert wordnet.nearest("whelp", {"living thing"}.__contains__) == ("living thing",)
    assert wordnet.nearest("living thing", {"whelp"}.__contains__) == ("whelp",)
    assert wordnet.nearest("fire truck", {"artifact", "whole"}.__contains__) == ("artifact",)


def test_synset_is_read_in_full(wordnet: WordNet) -> None:
    (pet,) = wordnet.senses("pets")
    synset = wordnet.synset(pet)
    assert synset.words == ("pet",)
    above = [wordnet.synset(offset).words[0] for offset in synset.hypernyms]
    assert above == ["animal", "artifact"]
    assert synset.hyponyms == ()


@pytest.mark.parametrize("packed", [False, True])
def test_nltk_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    import nltk.data

    corpora = tmp_path / "corpora"
    write_wordnet(corpora / "wordnet")
    if packed:
        shutil.make_archive(str(corpora / "wordnet"), "zip", corpora, "wordnet")
        shutil.rmtree(corpora / "wordnet")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    assert WordNet.open().nearest("puppy", {"dog"}.__contains__) == ("dog",)


def test_no_wordnet_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    for folder in (None, str(tmp_path / "none")):
        with pytest.raises(UserError, match=r"no WordNet there; .*nltk.downloader wordnet") as e:
            WordNet.open(folder)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index.noun", b""),
        ("index.noun", b"dog n one\n"),
        ("index.noun", b"dog n 1 0 1 0 00000003\n"),  # no synset begins there
        ("index.noun", b"\xff\xfe\n"),
        ("data.noun", b""),
        ("data.noun", b"<html>not found</html>\n" * 9),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (write_wordnet(tmp_path) / name).write_bytes(content)
    with pytest.raises(UserError, match=r"no files of WordNet 3\.0"):
        WordNet.open(str(tmp_path))


@pytest.mark.skipif(not (DEBIAN / "data.noun").exists(), reason="no Debian package wordnet-base")
def test_the_whole_wordnet() -> None:
    wordnet = WordNet.open(str(DEBIAN))
    known = {"dog", "child", "man", "clothing", "car", "road", "person", "boat"}
    for noun, nearest in {
        "puppy": "dog", "kids": "child", "guy": "man", "sweater": "clothing", "jeep": "car",
        "canoe": "boat", "diver": "person", "roadway": "road",
    }.items():  # fmt: skip
        assert wordnet.nearest(noun, known.__contains__) == (nearest,)
