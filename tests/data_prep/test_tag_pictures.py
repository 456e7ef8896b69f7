import io
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor
from scipy.optimize import curve_fit

from data_prep.tag_pictures import COLOURS, fit_zipf_mandelbrot, rank_frequency, tag_cloud

GREY = "#b5b5b5"  # tags below the threshold


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def chunks(data: bytes) -> set[bytes]:
    names, at = set(), 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        names.add(data[at + 4 : at + 8])
        at += 12 + length
    return names


def pixels(image: Image.Image, colour: str) -> int:
    """Pixels of exactly this colour."""
    return int((np.asarray(image) == ImageColor.getrgb(colour)).all(axis=-1).sum())


def test_the_same_tags_give_the_same_bytes() -> None:
    tags, counts = ["dog", "fire engine", "café"], [30, 20, 10]
    cloud, plot = png(tag_cloud(tags, counts)), png(rank_frequency(counts, 15))
    assert cloud == png(tag_cloud(tags, counts))
    assert cloud == png(tag_cloud(tags[::-1], counts[::-1]))
    assert plot == png(rank_frequency(counts, 15))
    assert plot == png(rank_frequency(np.array([10, 30, 20]), 15))
    assert chunks(cloud) == chunks(plot) == {b"IHDR", b"IDAT", b"IEND"}  # no date, no software


def test_area_of_a_tag_goes_with_its_count() -> None:
    cloud = tag_cloud(["nunu", "unun", "nnuu"], [400, 100, 100])
    assert cloud.size == (1600, 800)
    first, second, third = (pixels(cloud, colour) for colour in COLOURS[:3])
    assert second == pytest.approx(third, rel=0.1)
    assert first == pytest.approx(4 * second, rel=0.25)


def test_only_the_first_200_tags_are_drawn() -> None:
    tags, counts = [f"tag {n}" for n in range(300)], list(range(1300, 1000, -1))
    assert png(tag_cloud(tags, counts)) == png(tag_cloud(tags[:200], counts[:200]))


def test_a_tag_that_the_font_cannot_draw_is_left_out() -> None:
    seen = tag_cloud(["dog", "日本", "кот", "🐶🐶", "Łódź", ""], [9, 8, 7, 6, 5, 4])
    assert png(seen) == png(tag_cloud(["dog", "кот", "Łódź"], [9, 7, 5]))
    for tags in (["日本", "🐶"], []):
        empty = tag_cloud(tags, [3] * len(tags))
        assert empty.size == (1600, 800)
        assert pixels(empty, "white") == 1600 * 800


@pytest.mark.parametrize(
    ("tags", "counts"),
    [(["dog"], [1]), (["x" * 500, "dog"], [5, 4]), (["a", "b"], [10**12, 1]),
     ([f"{n:030}" for n in range(200)], [7] * 200)],
)  # fmt: skip
def test_the_first_tag_is_always_drawn(tags: list[str], counts: list[int]) -> None:
    assert pixels(tag_cloud(tags, counts), COLOURS[0]) > 100


@settings(max_examples=10, deadline=None)
@given(st.dictionaries(st.text(max_size=10), st.integers(1, 10**9), max_size=30))
def test_any_tags_give_a_cloud(counts: dict[str, int]) -> None:
    assert tag_cloud(list(counts), list(counts.values())).size == (1600, 800)


def test_colours_tell_the_vocabulary_from_the_other_tags() -> None:
    counts = np.repeat([1000, 100, 10, 1], [1, 10, 100, 1000])
    some, every, none = (rank_frequency(counts, limit) for limit in (10, 1, 5000))
    assert some.size == (1200, 750)
    assert pixels(some, GREY) > 100
    assert pixels(some, COLOURS[0]) > 100
    assert pixels(every, GREY) < 50  # a letter's edge may be as grey
    assert pixels(none, COLOURS[0]) < 50
    for plot in (some, every, none):
        assert pixels(plot, COLOURS[1]) > 500  # the threshold is within the axes


@pytest.mark.parametrize(
    ("counts", "limit"),
    [([5], 5), ([5], 1000), ([7] * 300, 7), ([7] * 300, 1), ([], 10), ([0, 0, 3], 1),
     ([10**12, 1], 10)],
)  # fmt: skip
def test_the_smallest_vocabularies_are_plotted(counts: list[int], limit: int) -> None:
    plot = rank_frequency(counts, limit)
    assert pixels(plot, COLOURS[1]) > 300


def test_a_law_is_fitted_only_to_many_tags_of_different_counts() -> None:
    law = COLOURS[4]
    counts = (10**6 / (np.arange(1, 101) + 3.0)).astype(int)
    assert pixels(rank_frequency(counts, 1), law) > 100
    assert pixels(rank_frequency(counts[:49], 1), law) == 0
    assert pixels(rank_frequency([7] * 100, 1), law) == 0


@pytest.mark.parametrize(("s", "q"), [(1.26, 12.0), (1.0, 0.0), (2.0, 300.0), (0.7, 0.5)])
def test_an_exact_law_is_found(s: float, q: float) -> None:
    ranks = np.unique(np.geomspace(1, 18157, 2000).round())
    law = fit_zipf_mandelbrot(ranks, 1e9 / (ranks + q) ** s)
    assert law.s == pytest.approx(s, rel=1e-2)
    assert law.q == pytest.approx(q, rel=2e-2)
    np.testing.assert_allclose(law(ranks), 1e9 / (ranks + q) ** s, rtol=1e-2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_noisy_law_is_fitted_as_by_curve_fit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ranks = np.arange(1, 1001)
    logs = 20 - 1.26 * np.log(ranks + 12) + rng.normal(0, 0.2, 1000)
    law = fit_zipf_mandelbrot(ranks, np.exp(logs))

    def line(rank: np.ndarray, scale: float, s: float, q: float) -> np.ndarray:
        return scale - s * np.log(rank + q)

    (scale, s, q), _ = curve_fit(line, ranks, logs, p0=(20, 1, 5), bounds=(0, [99, 9, 999]))
    assert law.s == pytest.approx(s, rel=0.01)
    assert law.q == pytest.approx(q, rel=0.03)
    assert np.log(law.scale) == pytest.approx(scale, rel=0.01)


def test_five_million_tags_are_plotted_in_seconds() -> None:
    counts = np.random.default_rng(0).zipf(1.5, 5_000_000).clip(max=10**9)
    start = time.process_time()
    rank_frequency(counts, 1000)
    assert time.process_time() - start < 10  # about 1 s; a point per tag would take minutes
