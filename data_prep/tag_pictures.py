"""Pictures of a vocabulary: its tag cloud, and how often tags are used by rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from PIL import Image, ImageChops
from wordcloud import WordCloud

FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
CLOUD_SIZE = 1600, 800  # pixels
CLOUD_TAGS = 200
LETTER_WIDTH = 0.62  # of the height of letters
CLOUD_FILL = 0.64  # share of the cloud that letters take
LONGEST_TAG = 30  # characters of a tag that are drawn
SEED = 0
# Dark enough for white paper; the colours go round by rank.
COLOURS = ("#1b4965", "#c8553d", "#2a7f62", "#8a5a83", "#b07d12", "#3d5a98", "#5c5c5c")

PLOT_INCHES = 8.0, 5.0
PLOT_DPI = 150
PLOT_RANKS = 2000  # drawn, evenly spaced in their logarithm
FIT_RANKS = 50  # fewer tags are not worth a fitted law
FIT_OFFSETS = np.concatenate([[0.0], np.geomspace(0.01, 1e4, 1201)])

Counts = npt.NDArray[np.int64]


def tag_cloud(tags: Sequence[str], counts: npt.ArrayLike, font: Path = FONT) -> Image.Image:
    """Draw the 200 most frequent tags, their areas in proportion to their counts.

    A tag is drawn smaller, or not at all, only where there is no room left. The same tags and
    counts give the same picture. A tag with a character that the font does not have is left out:
    DejaVu Sans has Latin with accents, Greek, Cyrillic and Arabic, but neither Chinese, Japanese,
    Korean nor most emoji. Without any tag the picture is empty.

    Parameters
    ----------
    tags : sequence of str
        One per count, in any order; of equally frequent ones the first come first.
    counts : array-like of int (tags,)
        Images per tag, 1 or more.
    font : Path
        TrueType or OpenType file.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, 1600×800.
    """
    counts = np.asarray(counts, dtype=np.int64)
    known = _characters(font)
    heights: dict[str, float] = {}  # of the letters, in proportion
    for index in np.argsort(-counts, kind="stable"):
        tag = str(tags[index])
        if tag and known.issuperset(tag):
            heights.setdefault(_shortened(tag), float(counts[index]) ** 0.5)
        if len(heights) == CLOUD_TAGS:
            break
    if not heights:
        return Image.new("RGB", CLOUD_SIZE, "white")
    colours = {tag: COLOURS[rank % len(COLOURS)] for rank, tag in enumerate(heights)}
    cloud = WordCloud(
        width=CLOUD_SIZE[0],
        height=CLOUD_SIZE[1],
        font_path=str(font),
        background_color="white",
        color_func=lambda word, **_: colours[word],
        max_words=CLOUD_TAGS,
        max_font_size=_largest_letters(heights),
        min_font_size=10,
        margin=4,
        prefer_horizontal=1.0,
        relative_scaling=1.0,
        random_state=SEED,
    )
    return _centred(cloud.generate_from_frequencies(heights).to_image())


def _largest_letters(heights: dict[str, float]) -> int:
    """Pixels of the first tag's letters with which all tags fill a share of the cloud."""
    width, height = CLOUD_SIZE
    tallest = max(heights.values())
    lengths = {tag: LETTER_WIDTH * len(tag) * h / tallest for tag, h in heights.items()}
    area = sum(length * heights[tag] / tallest for tag, length in lengths.items())
    fitting = (CLOUD_FILL * width * height / area) ** 0.5
    return int(min(fitting, 0.95 * width / max(lengths.values()), height / 3))


def _centred(cloud: Image.Image) -> Image.Image:
    paper = Image.new("RGB", cloud.size, "white")
    drawn = ImageChops.difference(cloud, paper).getbbox() or (0, 0, *cloud.size)
    left, top, right, bottom = drawn
    place = (cloud.width - right + left) // 2, (cloud.height - bottom + top) // 2
    paper.paste(cloud.crop(drawn), place)
    return paper


@lru_cache(maxsize=4)
def _characters(font: Path) -> frozenset[str]:
    return frozenset(map(chr, FT2Font(str(font)).get_charmap()))


def _shortened(tag: str) -> str:
    return tag if len(tag) <= LONGEST_TAG else tag[: LONGEST_TAG - 1] + "…"


@dataclass(frozen=True)
class ZipfMandelbrot:
    """The law count(rank) = scale / (rank + q)^s.

    Benoît Mandelbrot, An informational theory of the statistical structure of language, 1953.
    """

    s: float
    q: float
    scale: float

    def __call__(self, ranks: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return self.scale / (np.asarray(ranks, dtype=np.float64) + self.q) ** self.s


def fit_zipf_mandelbrot(ranks: npt.ArrayLike, counts: npt.ArrayLike) -> ZipfMandelbrot:
    """Fit the law by least squares in the logarithm of the counts.

    For a given q it is a straight line; q is the best of 0 and 1201 values from 0.01 to 10,000.

    Parameters
    ----------
    ranks : array-like of int (points,)
        1 or more; two or more of them differ. Each point weighs the same.
    counts : array-like of int (points,)
        1 or more.
    """
    log_counts = np.log(np.asarray(counts, dtype=np.float64))
    x = np.log(np.asarray(ranks, dtype=np.float64)[None] + FIT_OFFSETS[:, None])  # (q, points)
    x_mean, y_mean = x.mean(axis=1), log_counts.mean()
    dx, dy = x - x_mean[:, None], log_counts - y_mean
    slopes = (dx @ dy) / (dx**2).sum(axis=1)
    errors = ((dy - slopes[:, None] * dx) ** 2).sum(axis=1)
    best = int(errors.argmin())
    scale = np.exp(y_mean - slopes[best] * x_mean[best])
    return ZipfMandelbrot(float(-slopes[best]), float(FIT_OFFSETS[best]), float(scale))


def rank_frequency(counts: npt.ArrayLike, min_frequency: int) -> Image.Image:
    """Plot the images per tag over the tag's rank, both logarithmic, with the threshold.

    Where at least 50 tags of two or more counts reach the threshold, the law of Zipf and
    Mandelbrot fitted to these is drawn too. Of many tags only 2000 ranks, evenly spaced in their
    logarithm, are drawn and fitted.

    Parameters
    ----------
    counts : array-like of int (tags,)
        Images per tag, of all tags in any order, those below the threshold too.
    min_frequency : int
        Tags on fewer images are not in the vocabulary.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, 1200×750.
    """
    ranked = -np.sort(-np.asarray(counts, dtype=np.int64))
    ranked = ranked[ranked > 0]
    kept = int((ranked >= min_frequency).sum())
    figure = Figure(figsize=PLOT_INCHES, dpi=PLOT_DPI, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlabel="rank of the tag", ylabel="images with the tag")
    axes.set_title(f"{kept:,} of {len(ranked):,} tags are on at least {min_frequency:,} images")
    if len(ranked):
        _draw_ranks(axes, ranked, kept)
    ends = [*ranked[:1].tolist(), *ranked[-1:].tolist(), min_frequency]
    decade = 10.0 ** np.floor(np.log10(min(ends)))
    axes.set_ylim(0.8 * decade, max(2 * max(ends), 12 * decade))
    axes.set_xlim(0.8, max(1.25 * len(ranked), 12))
    axes.axhline(min_frequency, color=COLOURS[1], linewidth=1.2, linestyle="--", zorder=1)
    axes.annotate(
        f"threshold {min_frequency:,}",
        (0.0, min_frequency),
        (5, 3),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        color=COLOURS[1],
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", color="#e3e3e3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _draw_ranks(axes: Axes, ranked: Counts, kept: int) -> None:
    """Draw the descending counts, of which the first `kept` reach the threshold."""
    ranks = _spaced_ranks(len(ranked))
    for label, some, colour in (
        ("vocabulary", ranks[ranks <= kept], COLOURS[0]),
        ("other tags", ranks[ranks > kept], "#b5b5b5"),
    ):
        if len(some):
            axes.plot(
                some,
                ranked[some - 1],
                ".",
                color=colour,
                label=label,
                markersize=7,
                markeredgewidth=0,
            )
    if kept >= FIT_RANKS and ranked[kept - 1] < ranked[0]:
        some = _spaced_ranks(kept)
        law = fit_zipf_mandelbrot(some, ranked[some - 1])
        label = f"Zipf–Mandelbrot: s = {law.s:.2f}, q = {law.q:.3g}"
        axes.plot(some, law(some), color=COLOURS[4], linewidth=1.4, label=label)
    axes.legend(frameon=False, loc="upper right")


def _spaced_ranks(count: int) -> Counts:
    """Up to 2000 of the ranks 1…count, evenly spaced in their logarithm, with both ends."""
    return np.unique(np.geomspace(1, count, PLOT_RANKS).round().astype(np.int64))
