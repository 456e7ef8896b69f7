"""From phrases to ranked boxes: maps by hand from single words, ranks against slow loops."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.heads import tag_net
from grounding.localiser import Answer, Localiser, PhraseSettings, answers, in_context
from grounding.phrases import PhraseWords
from grounding.ranking import RankSettings, score_boxes, vote_boxes
from grounding.word_maps import Looks, MapSettings, word_maps
from grounding.words import WordMatch

# The last word stands for two classes.
VOCABULARY = Vocabulary((("dog",), ("cup",), ("sky",), ("tree",)))
MAPS = (MapSettings(layers=(28,), short_sides=(64,)),)
PLAIN = RankSettings(gamma=0.5, nms=None, vote=None)


@pytest.fixture(scope="module")
def tagger() -> TagClassifier:
    torch.manual_seed(0)
    model, preprocessing, name = tag_net("timm:test_resnet", len(VOCABULARY), "random")
    return TagClassifier(model, VOCABULARY, preprocessing, name, True)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 80, 3), np.uint8)
    pixels[10:30, 20:50] = (200, 30, 30)
    return Image.fromarray(pixels)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count how often the photo is scored, and how often asked for maps."""
    counts = {"logits": 0, "state": 0}
    for name in counts:
        inner = getattr(TagClassifier, name)

        def counted(*args: Any, _inner: Any = inner, _name: str = name, **keys: Any) -> Any:
            counts[_name] += 1
            return _inner(*args, **keys)

        monkeypatch.setattr(TagClassifier, name, counted)
    return counts


def phrase(*words: tuple[int, ...], head: int | None = None) -> PhraseWords:
    matches = tuple(WordMatch("x", classes, (), "exact") for classes in words)
    return PhraseWords(matches, head, None, (), ())


def localiser(tagger: TagClassifier, **settings: Any) -> Localiser:
    return Localiser(tagger, MAPS, PhraseSettings(**settings), PLAIN)


def map_of(tagger: TagClassifier, photo: Image.Image, prior: Tensor) -> Tensor:
    """Map (h, w) of one prior over the classes, asked alone."""
    return word_maps(Looks(tagger, photo), prior[None], MAPS)[0]


def one_class(number: int) -> Tensor:
    return torch.eye(len(VOCABULARY))[number]


def by_probability(tagger: TagClassifier, photo: Image.Image, classes: list[int]) -> Tensor:
    """Prior over some classes in proportion to their probabilities."""
    probabilities = torch.sigmoid(tagger.logits(photo).double())
    prior = torch.zeros(len(VOCABULARY))
    for each in classes:
        prior[each] = probabilities[each] / probabilities[classes].sum()
    return prior


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.to(found), rtol=1e-4, atol=1e-6)


def test_a_phrase_is_the_mean_of_its_words(
    tagger: TagClassifier, photo: Image.Image, calls: dict[str, int]
) -> None:
    """The photo is not scored where every word is one class, and asked once for all words."""
    phrases = [phrase((0,), (2,), head=1), phrase((2,)), phrase((0,), (1,), (2,), head=0)]
    found = localiser(tagger).phrase_maps(Looks(tagger, photo), phrases, [0] * len(phrases))
    assert calls == {"logits": 0, "state": 1}
    single = [map_of(tagger, photo, one_class(number)) for number in range(3)]
    close(found[0], (single[0] + single[2]) / 2)
    close(found[1], single[2])
    close(found[2], (single[0] + single[1] + single[2]) / 3)
    weighted = localiser(tagger, combine="head", head_weight=0.8).phrase_maps(
        Looks(tagger, photo), phrases, [0] * len(phrases)
    )
    close(weighted[0], 0.2 * single[0] + 0.8 * single[2])
    close(weighted[1], single[2])
    close(weighted[2], 0.8 * single[0] + 0.1 * (single[1] + single[2]))


def test_the_photo_is_seen_once_for_any_number_of_phrases(
    tagger: TagClassifier, photo: Image.Image, calls: dict[str, int]
) -> None:
    several = [phrase((0,), (1, 3)), phrase(), phrase((2,))]
    localiser(tagger).phrase_maps(Looks(tagger, photo), several, [0, 0, 1])
    assert calls == {"logits": 1, "state": 1}
    localiser(tagger).phrase_maps(Looks(tagger, photo), several * 20, range(60))
    assert calls == {"logits": 2, "state": 2}
    flipped = (replace(MAPS[0], flip=True, short_sides=(48, 64)),)
    replace(localiser(tagger), maps=flipped).phrase_maps(Looks(tagger, photo), several, [0, 0, 1])
    assert calls == {"logits": 3, "state": 6}


def test_words_of_several_classes_and_joint_priors(
    tagger: TagClassifier, photo: Image.Image
) -> None:
    phrases = [phrase((1, 3)), phrase((0,), (1, 3))]
    general = map_of(tagger, photo, by_probability(tagger, photo, [1, 3]))
    found = localiser(tagger).phrase_maps(Looks(tagger, photo), phrases, [0] * len(phrases))
    close(found[0], general)
    close(found[1], (map_of(tagger, photo, one_class(0)) + general) / 2)
    together = localiser(tagger, combine="prior").phrase_maps(
        Looks(tagger, photo), phrases, [0] * len(phrases)
    )
    close(together[0], general)
    close(together[1], map_of(tagger, photo, by_probability(tagger, photo, [0, 1, 3])))


@pytest.mark.parametrize("combine", ["mean", "prior", "product"])
def test_phrases_without_a_known_word(
    tagger: TagClassifier, photo: Image.Image, combine: str
) -> None:
    seen = map_of(tagger, photo, by_probability(tagger, photo, [0, 1, 2, 3]))
    for others in ([], [phrase((2,))]):
        asked, captions = [phrase(), *others], [0] * (1 + len(others))
        found = localiser(tagger, combine=combine, unknown="seen").phrase_maps(
            Looks(tagger, photo), asked, captions
        )
        close(found[0], seen)
        centred = localiser(tagger, combine=combine, unknown="centre")
        (first, *rest) = centred.phrase_maps(Looks(tagger, photo), asked, captions)
        close(first, first.flip(0))
        close(first, first.flip(1))
        high, wide = first.shape
        y, x = np.unravel_index(int(first.argmax()), first.shape)
        assert (abs(2 * y + 1 - high) <= 1, abs(2 * x + 1 - wide) <= 1) == (True, True)
        assert float(first.min()) > 0
        for each in rest:
            close(each, map_of(tagger, photo, one_class(2)))


def gaussian(high: int, wide: int, spread: float) -> Tensor:
    """Around the middle, cell by cell, with a deviation in photo sides."""
    cells = [
        [((x + 0.5) / wide - 0.5) ** 2 + ((y + 0.5) / high - 0.5) ** 2 for x in range(wide)]
        for y in range(high)
    ]
    return torch.exp(-torch.tensor(cells) / (2 * spread**2))


def test_a_prior_on_the_middle(tagger: TagClassifier, photo: Image.Image) -> None:
    """Known words or not; and before others of the caption are looked at."""
    phrases, captions = [phrase((0,)), phrase(), phrase((2,))], [0, 0, 1]
    settings = {"unknown": "centre", "combine": "max"}
    plain = localiser(tagger, **settings).phrase_maps(Looks(tagger, photo), phrases, captions)
    _, high, wide = plain.shape
    prior = gaussian(high, wide, 0.4)
    found = localiser(tagger, centre=0.4, **settings).phrase_maps(
        Looks(tagger, photo), phrases, captions
    )
    close(found, plain * prior)
    among = localiser(tagger, centre=0.4, context=0.7, **settings)
    close(
        among.phrase_maps(Looks(tagger, photo), phrases, captions),
        in_context(plain * prior, captions, [True, False, True], 0.7),
    )
    (alone,) = localiser(tagger, centre=0.4, **settings).phrase_maps(
        Looks(tagger, photo), [phrase()], [0]
    )
    close(alone, gaussian(12, 12, 0.3) * gaussian(12, 12, 0.4))


def test_a_word_without_numbers_has_no_attention(
    tagger: TagClassifier, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the other phrase of the caption keeps its own."""
    usual = map_of(tagger, photo, one_class(2))
    broken = torch.stack([torch.full_like(usual, float("nan")), usual])
    monkeypatch.setattr("grounding.localiser.word_maps", lambda *_given: broken)
    phrases = [phrase((0,)), phrase((2,))]
    found = localiser(tagger, context=1.0).phrase_maps(Looks(tagger, photo), phrases, [0, 0])
    assert not found[0].any()
    close(found[1], usual)


def test_unknown_words_in_the_middle_cost_no_look(
    tagger: TagClassifier, photo: Image.Image, calls: dict[str, int]
) -> None:
    found, _ = localiser(tagger, unknown="centre")(
        Looks(tagger, photo), [phrase(), phrase()], [0, 0], None
    )
    assert calls == {"logits": 0, "state": 0}
    x, y = found[0].point  # type: ignore[misc]
    high, wide = found[0].attention.shape
    assert abs(x - 40) <= 1 + 80 / wide / 2  # of an even number of cells the first is the middle
    assert abs(y - 25) <= 1 + 50 / high / 2
    assert localiser(tagger)(Looks(tagger, photo), [], [], None)[0] == []


def attention_in(grid: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> float:
    """Sum cell by cell what a box covers of a grid over a photo."""
    total, (high, wide) = 0.0, grid.shape
    for row in range(high):
        for column in range(wide):
            x1, x2 = (side / wide * size[0] for side in (column, column + 1))
            y1, y2 = (side / high * size[1] for side in (row, row + 1))
            width = max(0.0, min(x2, box[2]) - max(x1, box[0])) / (x2 - x1)
            height = max(0.0, min(y2, box[3]) - max(y1, box[1])) / (y2 - y1)
            total += grid[row, column] * width * height
    return total


def check(answer: Answer, grid: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> None:
    """Compare an answer with a ranking of the boxes one by one, the earlier first of equals."""
    scores = []
    for box in boxes:
        area = (box[2] - box[0]) * (box[3] - box[1]) / (size[0] * size[1])
        scores.append(attention_in(grid, box, size) / grid.sum() / area**PLAIN.gamma)
    best = np.sort(scores)[::-1][:100]
    assert np.allclose(answer.scores, best)
    assert len(answer.boxes) == len(best)
    for box, score in zip(answer.boxes, best, strict=True):
        (places,) = np.nonzero((boxes == box).all(1))
        assert any(abs(scores[place] - score) < 1e-9 for place in places)


def test_answers_are_those_of_a_slow_loop() -> None:
    random = np.random.default_rng(3)
    size, maps = (90, 60), torch.rand(2, 4, 6, generator=torch.Generator().manual_seed(1))
    corners = random.uniform(0, 1, (130, 2, 2)) * size
    boxes = np.concatenate([corners.min(1), corners.max(1) + 1], 1).clip(0, [*size, *size])
    found, ranked = answers(maps, size, boxes.astype(np.float32), PLAIN)
    assert np.allclose(ranked, boxes, atol=1e-4)
    for answer, grid in zip(found, maps.numpy(), strict=True):
        check(answer, grid, ranked, size)
        assert np.array_equal(answer.attention, grid)
    none, _ = answers(maps, size, np.zeros((0, 4)), RankSettings())
    assert [answer.boxes.shape for answer in none] == [(0, 4), (0, 4)]
    assert [answer.point for answer in none] == [answer.point for answer in found]


def test_exhaustive_windows_are_all_of_whole_cells() -> None:
    size, maps = (50, 40), torch.rand(1, 4, 5, generator=torch.Generator().manual_seed(2))
    (answer,), ranked = answers(maps, size, None, PLAIN)
    expected = {
        (10 * left, 10 * top, 10 * right, 10 * bottom)
        for left in range(5)
        for right in range(left + 1, 6)
        for top in range(4)
        for bottom in range(top + 1, 5)
    }
    assert {tuple(box) for box in ranked.round(6).tolist()} == expected
    assert len(ranked) == len(expected) == 150
    check(answer, maps[0].numpy(), ranked, size)


def test_the_point_is_a_pixel_of_the_photo() -> None:
    """It lies in the cell with the most attention; an even map points nowhere."""
    maps = torch.zeros(3, 2, 3)
    maps[0, 1, 2] = maps[1, 0, 0] = 1
    found, _ = answers(maps, (30, 10), np.array([[0, 0, 30, 10]], np.float32), PLAIN)
    (x, y), (left, top) = found[0].point, found[1].point  # type: ignore[misc]
    assert (20 <= x < 30, 5 <= y < 10, 0 <= left < 10, 0 <= top < 5) == (True,) * 4
    assert found[2].point is None
    assert found[2].boxes.tolist() == [[0, 0, 30, 10]]


def test_votes_move_boxes_and_leave_their_scores() -> None:
    generator = torch.Generator().manual_seed(4)
    size, maps = (90, 60), torch.rand(2, 4, 6, generator=generator)
    moved, _ = answers(maps, size, None, RankSettings(nms=0.5, vote=0.6))
    plain, windows = answers(maps, size, None, RankSettings(nms=0.5, vote=None))
    for one, other, attention in zip(moved, plain, maps, strict=True):
        assert np.array_equal(one.scores, other.scores)
        assert one.point == other.point
        places = [int(np.flatnonzero((windows == box).all(1))[0]) for box in other.boxes]
        shares = torch.from_numpy(windows) / torch.tensor([*size, *size])
        (scores,) = score_boxes(attention[None], shares, RankSettings())
        expected = vote_boxes(torch.tensor(places), scores, torch.from_numpy(windows), 0.6)
        assert np.allclose(one.boxes, expected.numpy())
        assert not np.allclose(one.boxes, other.boxes)
