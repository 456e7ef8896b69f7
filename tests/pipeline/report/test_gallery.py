"""Which phrases are shown, and their attention."""

import base64
import io

import numpy as np
from PIL import Image

from pipeline.report.gallery import choose, gallery
from tests.pipeline.report.phrase_rows import MISSED, UNKNOWN, noise, table_of


def test_best_are_the_closest_hits() -> None:
    table = table_of(
        {"photo": "a", "iou_merged": 0.6},
        {"photo": "b", "iou_merged": 0.9},
        {"photo": "c", "iou_merged": 0.95, "rank_merged": None},
        {"photo": "d", "iou_merged": 0.9},
        {"photo": "b", "iou_merged": 0.8},
        {"photo": "b", "iou_merged": 0.7},
    )
    assert choose(table)["best"] == [1, 3, 4, 0]


def test_worst_are_the_misses_that_could_have_been_hits() -> None:
    small, large = [[0.0, 0.0, 10.0, 10.0]], [[0.0, 0.0, 90.0, 40.0]]
    table = table_of(
        {**MISSED, "photo": "a", "iou_merged": 0.0, "boxes": small},
        {**MISSED, "photo": "b", "iou_merged": 0.0, "boxes": large, "upper_merged": False},
        {**MISSED, "photo": "c", "iou_merged": 0.0, "boxes": large},
        {**MISSED, "photo": "d", "iou_merged": 0.3},
        UNKNOWN,
        {"rank_merged": 1},
        {"photo": "e", "rank_merged": 2, "iou_merged": 0.4},
    )
    assert choose(table)["worst"] == [2, 0, 1, 3, 6]


def test_random_ones_hang_on_the_seed_alone() -> None:
    table = table_of(*({"photo": str(i)} for i in range(50)))
    first, same, other = (choose(table, seed)["random"] for seed in (1, 1, 2))
    assert first == same != other
    assert len(set(first)) == 12


def test_attention_lies_over_the_photo_as_its_grid_does() -> None:
    grid = np.zeros((2, 4), np.uint8)
    grid[1, 3] = 255  # the photo's right bottom corner
    table = table_of({"attention": grid.tobytes()})
    (card,) = gallery(table, lambda path: Image.new("RGB", (200, 100), "gray"))[0].cards
    assert card.heat is not None
    heat = np.asarray(Image.open(io.BytesIO(base64.b64decode(card.heat.split(",")[1]))))
    assert heat.shape == (100, 200, 3)
    colour = heat.astype(int)[..., 0] - heat[..., 2]  # of heat; the photo has none
    assert colour[75:, 175:].mean() > 60 > 20 > abs(colour[:50]).mean()
    assert abs(colour[:, :100]).mean() < 20


def test_the_full_stop_of_a_tokenised_caption_stays_with_its_word() -> None:
    table = table_of({"caption": "A dog , a cat .", "start": 0, "end": 5})
    (card,) = gallery(table, noise)[0].cards
    assert (card.before, card.after) == ("", " , a cat\xa0.")


def test_pictures_are_small() -> None:
    groups = gallery(table_of({}), noise)
    assert [group.name for group in groups] == ["best", "worst", "random"]
    picture = groups[0].cards[0].picture
    assert picture is not None
    image = Image.open(io.BytesIO(base64.b64decode(picture.split(",")[1])))
    assert image.size == (400, 200)
    assert len(picture) < 60_000  # noise; a photo less than 25 kB before base64
