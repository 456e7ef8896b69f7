from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.captions import (
    STOP_WORDS,
    CaptionTagger,
    by_agreement,
    imagenet_entries,
    open_captions,
    photos,
    read_dictionary,
)
from data_prep.crawl import Batch
from data_prep.crawl.source import UNREADABLE, unreadable
from data_prep.errors import UserError
from data_prep.text import normalise

NOUNS = CaptionTagger()
VERBS = CaptionTagger(("verb",))
ADJECTIVES = CaptionTagger(("adjective",))
NOTHING_LOST = pa.RecordBatch.from_pylist([], UNREADABLE)


def batch(*rows: tuple[str, str | list[str | None] | None]) -> Batch:
    captions = [[c] if isinstance(c, str) else c for _, c in rows]
    columns = [
        pa.array([i for i, _ in rows], pa.string()),
        pa.array(captions, pa.list_(pa.string())),
    ]
    return Batch(pa.record_batch(columns, ["image_id", "tags"]), NOTHING_LOST)


def tags_of_photos(*batches: Batch, tagger: CaptionTagger = NOUNS) -> dict[str, list[str]]:
    rows = photos(batches, tagger).rows
    assert rows.schema.types == [pa.string(), pa.list_(pa.string())]
    ids = rows.column("image_id").to_pylist()
    assert len(set(ids)) == len(ids)
    return dict(zip(ids, rows.column("tags").to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("caption", "nouns", "adjectives", "verbs"),
    [
        ("A brown dog is running through the snow .", ["dog", "snow"], ["brown"], ["run"]),
        ("Two women sit on a wooden bench .", ["woman", "bench"], ["wooden"], ["sit"]),
        ("Men and children playing in a pool", ["man", "child", "pool"], [], ["play"]),
        ("A bigger boy, and his older sister!", ["boy", "sister"], ["big", "old"], []),
        ("the leaves of a tree against the skies", ["leaf", "tree", "sky"], [], []),
        ("A black dog jumps over a hurdle", ["dog", "hurdle"], ["black"], ["jump"]),
        ("a man 's dog and a boy's ball", ["man", "dog", "boy", "ball"], [], []),
        ("A DOG, a Dog and dogs", ["dog"], [], []),
        ("a fire by the side of the road", ["fire", "road"], [], []),
        ("", [], [], []),
        (" . , !", [], [], []),
        ("He is by it .", [], [], []),
    ],
)
def test_words_of_a_part_of_speech(
    caption: str, nouns: list[str], adjectives: list[str], verbs: list[str]
) -> None:
    assert NOUNS.tags(caption) == nouns
    assert ADJECTIVES.tags(caption) == adjectives
    assert VERBS.tags(caption) == verbs


def test_several_parts_of_speech_in_the_order_of_the_caption() -> None:
    both = CaptionTagger(("noun", "adjective"))
    assert both.tags("A brown dog on white snow .") == ["brown", "dog", "white", "snow"]


@pytest.mark.parametrize("word", ["shorts", "glasses", "jeans", "people", "pants", "sunglasses"])
def test_a_noun_without_singular_stays(word: str) -> None:
    assert NOUNS.tags(f"A man in a hat sees {word} near a house .") == ["man", "hat", word, "house"]


@pytest.mark.parametrize(
    ("plural", "singular"),
    [("skis", "ski"), ("dogs", "dog"), ("men", "man"), ("children", "child"), ("boxes", "box"),
     ("knives", "knife"), ("shelves", "shelf"), ("sheep", "sheep"), ("buses", "bus"),
     ("feet", "foot"), ("glass", "glass"), ("grass", "grass"), ("dress", "dress")],
)  # fmt: skip
def test_any_other_noun_is_a_singular(plural: str, singular: str) -> None:
    assert NOUNS.tags(f"There are some green {plural} on the street .") == [singular, "street"]


def test_the_longest_compound_is_one_tag() -> None:
    caption = "Two men eat hot dogs and ice cream by fire engines ."
    assert NOUNS.tags(caption) == ["man", "hot dog", "ice cream", "fire engine"]
    small = CaptionTagger(dictionary=frozenset({"ice cream", "ice cream truck"}))
    assert small.tags("the ice cream truck sells ice cream") == ["ice cream truck", "ice cream"]
    assert small.tags("a truck on the ice") == ["truck", "ice"]
    assert CaptionTagger(dictionary=frozenset()).tags("an ice cream") == ["ice", "cream"]
    assert NOUNS.tags("A potter's wheel near a dog") == ["potter's wheel", "dog"]


def test_a_compound_is_a_noun_as_a_whole() -> None:
    assert ADJECTIVES.tags("a hot dog on a hot day") == ["hot"]
    assert ADJECTIVES.tags("a golden retriever") == []


def test_a_word_of_the_dictionary_stays_as_written() -> None:
    caption = "The boots of the boys on the steps"
    assert NOUNS.tags(caption) == ["boot", "boy", "step"]
    assert CaptionTagger(dictionary=frozenset({"steps"})).tags(caption) == ["boot", "boy", "steps"]


def test_stop_words() -> None:
    assert "man" not in CaptionTagger(stop_words=frozenset({"man"})).tags("A man and a dog")
    assert NOUNS.tags("the top of the front part of the car") == ["car"]


WORDS = [
    "a", "the", "two", "dogs", "men", "running", "hot", "dog", "fire", "engine", "shorts", "'s",
    "n't", ".", ",", "front",
]  # fmt: skip


def test_a_word_without_end_is_passed_over() -> None:
    assert NOUNS.tags(f"A dog and {'x' * 100_000} on a {'y' * 41} street") == ["dog", "street"]
    assert NOUNS.tags("a dog " * 20_000) == ["dog"]


CAPTIONS = st.lists(st.text(max_size=8) | st.sampled_from(WORDS), max_size=12).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(CAPTIONS)
def test_any_caption_gives_distinct_normalised_tags(caption: str) -> None:
    tagger = CaptionTagger(("noun", "adjective", "verb"))
    tags = tagger.tags(caption)
    assert len(set(tags)) == len(tags)
    assert not STOP_WORDS & set(tags)
    assert all(tag and tag == normalise(tag) for tag in tags)
    assert tagger.tags(caption) == tags
    assert set(NOUNS.tags(caption)) <= set(tags)


def test_the_tag_of_most_captions_is_first_then_the_first_named() -> None:
    captions = ["a ball and a tree", "a dog with a ball", "the grass and a dog", "a dog"]
    assert tags_of_photos(batch(*(("a.jpg", c) for c in captions))) == {
        "a.jpg": ["dog", "ball", "tree", "grass"]
    }


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 5), max_size=20))
def test_order_by_agreement(counts: dict[str, int]) -> None:
    order = by_agreement(counts)
    first_seen = list(counts)
    assert sorted(order) == sorted(first_seen)
    for left, right in pairwise(order):
        higher = counts[left] > counts[right]
        assert higher or (
            counts[left] == counts[right] and first_seen.index(left) < first_seen.index(right)
        )


def test_captions_of_a_photo_may_be_apart() -> None:
    rows = [("b", "a dog"), ("a", "a cat"), ("b", "a dog and a cat"), ("c", None), ("a", "")]
    expected = {"b": ["dog", "cat"], "a": ["cat"], "c": []}
    assert tags_of_photos(batch(*rows)) == expected
    assert list(tags_of_photos(*(batch(row) for row in rows)).items()) == list(expected.items())


def test_a_row_may_hold_a_list_of_captions() -> None:
    one = tags_of_photos(batch(("a", ["a dog", None, "a man and a dog"]), ("b", [])))
    assert one == {"a": ["dog", "man"], "b": []}


def test_lost_rows_are_handed_on_and_progress_counts_rows() -> None:
    lost = unreadable("x.csv", [3], ["no image id"], ["a dog"])
    done: list[int] = []
    many = batch(*((f"{n}.jpg", "a dog") for n in range(2500)))
    result = photos([Batch(many.rows, lost), Batch(many.rows, lost)], NOUNS, done.append)
    assert result.unreadable.to_pylist() == lost.to_pylist() * 2
    assert result.unreadable.schema == UNREADABLE
    assert done == [1000, 1000, 500] * 2
    assert photos([], NOUNS).rows.num_rows == 0


def test_whole_numbers_as_image_names() -> None:
    rows = pa.record_batch({"image_id": [7, 8, 7], "tags": [["a dog"], ["a cat"], ["a man"]]})
    assert tags_of_photos(Batch(rows, NOTHING_LOST)) == {"7": ["dog", "man"], "8": ["cat"]}


def test_parts_of_speech_are_checked() -> None:
    with pytest.raises(UserError, match="'nouns'; choose from noun, adjective, verb"):
        CaptionTagger(("nouns",))
    with pytest.raises(UserError, match="is empty"):
        CaptionTagger(())


def test_a_dictionary_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\ufeffHot_Dog\n\n  Potter’s  Wheel \nsteps\n", encoding="utf-8")
    assert read_dictionary(path) == {"hot dog", "potter's wheel", "steps"}


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no entry"), (b"\n \n", "no entry"), (b"\xff\xfe", "not UTF-8")]
)
def test_an_unusable_dictionary(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"words\.txt: {message}.*; ") as caught:
        read_dictionary(path)
    assert "\n" not in str(caught.value)


def test_a_missing_dictionary(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.txt: cannot be read"):
        read_dictionary(tmp_path / "nowhere.txt")


def test_imagenet_entries() -> None:
    assert {"fire engine", "hot dog", "ice cream", "golden retriever"} <= imagenet_entries()
    assert all(" " in entry and entry == normalise(entry) for entry in imagenet_entries())


def test_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {
            "photo": ["a", None, "a"],
            "text": ["A dog .", "A cat .", "A cat and a dog ."],
            "n": [1, 2, 3],
        }
    )
    pq.write_table(table, tmp_path / "captions.parquet")
    crawl = open_captions(str(tmp_path / "captions.parquet"), image="photo", caption="text")
    result = photos(crawl.read(crawl.parts[0]), NOUNS)
    assert result.rows.to_pylist() == [{"image_id": "a", "tags": ["dog", "cat"]}]
    assert result.unreadable.column("row").to_pylist() == [2]


def photos_of(path: Path) -> Batch:
    crawl = open_captions(str(path))
    return photos((batch for part in crawl.parts for batch in crawl.read(part)), NOUNS)


def test_a_file_of_captions(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_bytes(
        b"image,caption\n"
        b'1.jpg,"A dog, a cat\x2c and a man ."\n'
        b"2.jpg,\n"
        b",A house .\n"
        b"1.jpg,A man .\n"
        b"3.jpg,A \xff\xfe tree .\n"
        b"4.jpg,A tree .\n"
    )
    result = photos_of(path)
    assert result.rows.to_pylist() == [
        {"image_id": "1.jpg", "tags": ["man", "dog", "cat"]},
        {"image_id": "2.jpg", "tags": []},
        {"image_id": "4.jpg", "tags": ["tree"]},
    ]
    lost = result.unreadable.to_pylist()
    assert [row["row"] for row in lost] == [4, 6]
    assert all(row["reason"] for row in lost)


def test_a_file_of_another_suffix(tmp_path: Path) -> None:
    path = tmp_path / "captions.token"
    path.write_text("image,caption\n1.jpg,A dog .\n")
    with pytest.raises(UserError, match=r"data\.format=csv"):
        open_captions(str(path))
    crawl = open_captions(str(path), file_format="csv")
    assert photos(crawl.read(crawl.parts[0]), NOUNS).rows.to_pylist() == [
        {"image_id": "1.jpg", "tags": ["dog"]}
    ]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("image,title", r"no column 'caption'; .* \(image, title\): data\.caption=…$"),
        ("photo,caption", r"no column 'image'; .* \(photo, caption\): data\.image=…$"),
    ],
)
def test_a_missing_column(tmp_path: Path, header: str, message: str) -> None:
    path = tmp_path / "photos.csv"
    path.write_text(f"{header}\n1.jpg,A dog\n")
    with pytest.raises(UserError, match=message):
        open_captions(str(path))


def test_a_column_of_another_type(tmp_path: Path) -> None:
    path = tmp_path / "photos.parquet"
    pq.write_table(pa.table({"image": [[1]], "caption": [2]}), path)
    with pytest.raises(UserError, match=r"whole numbers or text in data\.image$"):
        open_captions(str(path))
    with pytest.raises(UserError, match=r"lists of words, in data\.caption$"):
        open_captions(str(path), image="caption")


@pytest.mark.real_data
def test_captions_of_flickr8k(real_data: Path) -> None:
    crawl = open_captions(str(real_data / "flickr8k_train" / "captions.csv"))
    first = next(crawl.read(crawl.parts[0]))
    some = photos([Batch(first.rows.slice(0, 2500), first.unreadable)], NOUNS).rows
    assert some.num_rows == 500
    tags = dict(zip(*(some.column(name).to_pylist() for name in some.schema.names), strict=True))
    counts = Counter(tag for row in tags.values() for tag in row)
    assert {"man", "dog", "boy", "woman", "girl"} <= {tag for tag, _ in counts.most_common(8)}
    known = tags["1155138244_859fd6e079.jpg"]
    assert known[0] == "drink"  # in three of its captions; the next ones in two
    assert {"girl", "sample", "hat", "apron", "tray"} <= set(known[1:7])
