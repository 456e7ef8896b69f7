"""Generated crawls against their settings: laws of tags, lengths and users, order, dirt."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chisquare

from data_prep.errors import UserError
from data_prep.generator import SCHEMA, Counts, CrawlSettings, generate_crawl
from data_prep.generator.crawl import tag_counts, zipf_mandelbrot
from data_prep.generator.sampling import alias_table, below, draw, next_bits
from data_prep.generator.spelling import FREQUENT, make_tags, spell_oddly
from data_prep.text import normalise

CLEAN = {
    "few_tags": 0,
    "null_lists": 0,
    "duplicate_tags": 0,
    "null_tags": 0,
    "empty_tags": 0,
    "odd_spellings": 0,
}


def generate(images: int = 20_000, **keys: Any) -> tuple[list[dict[str, Any]], Counts]:
    counts = Counts()
    settings = CrawlSettings(images, **{"distinct_tags": 5000, "users": 1000, **keys})
    batches = list(generate_crawl(settings, counts))
    return pa.Table.from_batches(batches).to_pylist(), counts


@pytest.fixture(scope="module")
def crawl() -> tuple[list[dict[str, Any]], Counts]:
    return generate()


def near(found: float, expected: float, errors: float, sigmas: float = 5) -> bool:
    """Tell whether a count lies within some standard errors of what is expected."""
    return abs(found - expected) <= sigmas * errors


def shares_more_than_three(one: Iterable[str], other: Iterable[str]) -> bool:
    return len(set(one) & set(other)) > 3


def test_same_seed_same_crawl() -> None:
    def make(**keys: Any) -> pa.Table:
        settings = CrawlSettings(**{"images": 3000, "distinct_tags": 900, **keys})
        return pa.Table.from_batches(generate_crawl(settings))

    table = make(seed=4)
    assert table.equals(make(seed=4))
    other = make(seed=5)
    assert all(table[name].to_pylist() != other[name].to_pylist() for name in table.column_names)
    assert make(seed=4, images=1000).to_pylist() == table.to_pylist()[:1000]


def test_batches_go_on_from_each_other() -> None:
    batches = list(generate_crawl(CrawlSettings(140_000, distinct_tags=300)))
    assert [batch.num_rows for batch in batches] == [131_072, 140_000 - 131_072]
    for batch in batches:
        assert batch.schema == SCHEMA
        batch.validate(full=True)
        words = batch["tags"].values.dictionary.to_pylist()
        assert len(set(words)) == len(words)  # or Parquet would spell out every tag
    ids = np.concatenate([batch["image_id"].to_numpy() for batch in batches])
    assert ids[0] > 0
    assert (np.diff(ids) > 0).all()
    assert (np.diff(ids) > 1).any()


def test_numbers_are_those_of_splitmix64() -> None:
    """Known first numbers of seed 1234567 (Rosetta Code, Pseudo-random numbers/Splitmix64)."""
    random = np.array([1234567], np.uint64)
    assert [int(next_bits(random)) for _ in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


def test_draws_follow_zipf_mandelbrot() -> None:
    count, draws = 200, 100_000
    weights = np.array([(rank + 12.0) ** -1.26 for rank in range(1, count + 1)])
    chances = zipf_mandelbrot(count, 1.26, 12.0)
    np.testing.assert_allclose(chances, weights / weights.sum())
    table, random = alias_table(chances), np.array([7], np.uint64)
    found = np.bincount([draw(random, table) for _ in range(draws)], minlength=count)
    assert chisquare(found, chances * draws).pvalue > 1e-4
    assert chisquare(found, np.full(count, draws / count)).pvalue < 1e-4
    even = np.bincount([below(random, 7) for _ in range(7000)])
    assert chisquare(even).pvalue > 1e-4


def test_tags_of_single_images_follow_the_law_of_distinct_draws() -> None:
    """Every image a shoot of its own, against plain draws that skip what the list has."""
    images = 20_000
    rows, _ = generate(images, shoot_mean=1, returns=0, alphabetical=0, distinct_tags=600, **CLEAN)
    rank = {tag: place for place, tag in enumerate(make_tags(600, 0))}
    found = Counter(rank[tag] for row in rows for tag in row["tags"])
    random = np.random.default_rng(0)
    chances = zipf_mandelbrot(600, 1.26, 12.0)
    expected: Counter[int] = Counter()
    for row in rows:
        drawn = random.choice(600, len(row["tags"]), replace=False, p=chances)
        expected.update(drawn.tolist())
    for place in (0, 1, 2, 5, 10, 30, 100, 300):
        share = expected[place] / images
        assert near(found[place], expected[place], (2 * images * share * (1 - share)) ** 0.5)


def test_tags_of_an_image_are_distinct_and_as_many_as_asked() -> None:
    settings = CrawlSettings(20_000, **CLEAN)
    chances = tag_counts(settings)
    assert chances.sum() == pytest.approx(1)
    assert chances @ np.arange(51) == pytest.approx(24)
    rows, counts = generate(**CLEAN)
    assert all(len(set(row["tags"])) == len(row["tags"]) for row in rows)
    lengths = np.bincount([len(row["tags"]) for row in rows], minlength=51)
    assert lengths.size == 51
    likely = chances * len(rows) >= 5
    expected = chances[likely] * len(rows)
    expected *= lengths[likely].sum() / expected.sum()
    assert chisquare(lengths[likely], expected).pvalue > 1e-4
    assert counts.tags == lengths @ np.arange(51)
    # Lognormal: the logarithms below the cap are symmetric around their middle.
    logarithms = np.log([len(row["tags"]) for row in rows])
    assert np.median(logarithms) == pytest.approx(np.log(22.5), abs=0.1)
    assert np.quantile(logarithms, 0.5) - np.quantile(logarithms, 0.1587) == pytest.approx(
        0.5, abs=0.06
    )


def test_some_images_have_few_tags(crawl: tuple[list[dict[str, Any]], Counts]) -> None:
    rows, counts = crawl
    lengths = [len(row["tags"] or []) for row in rows]
    assert counts.few_tags == sum(length < 5 for length in lengths)
    assert set(range(5)) <= set(lengths)
    assert near(counts.few_tags, 0.022 * len(rows), (0.022 * len(rows)) ** 0.5)


def test_alphabetical_lists(crawl: tuple[list[dict[str, Any]], Counts]) -> None:
    rows, counts = crawl
    found = listed = 0
    for row in rows:
        tags = dict.fromkeys(normalise(tag) for tag in row["tags"] or [] if tag and tag.strip())
        if len(tags) >= 8:
            listed += 1
            found += list(tags) == sorted(tags)
    shoots = len(rows) / 8
    error = (0.4 * 0.6 / shoots) ** 0.5 * 2**0.5  # of geometric shoot sizes, var ≈ mean²
    assert near(found / listed, 0.4, error)
    assert near(found / listed, counts.alphabetical / len(rows), 0.002)


def test_users_are_heavy_tailed() -> None:
    rows, counts = generate(users=100, shoot_mean=2)
    images = Counter(row["user_id"] for row in rows)
    assert counts.users == len(images) <= 100
    assert counts.largest_user == max(images.values())
    shares = zipf_mandelbrot(100, 1.0, 10.0) * len(rows)
    found = sorted(images.values(), reverse=True)
    assert near(found[0], shares[0], (4 * shares[0]) ** 0.5)
    assert near(sum(found[:10]), shares[:10].sum(), (4 * shares[:10].sum()) ** 0.5)


def test_largest_users_of_the_paper_s_size_have_50k_images() -> None:
    settings = CrawlSettings(17_000_000)
    law = zipf_mandelbrot(settings.users, settings.user_exponent, settings.user_offset)
    assert (law * settings.images >= 50_000).sum() >= 5


def test_a_hot_user() -> None:
    rows, counts = generate(hot_user=0.3)
    images = Counter(row["user_id"] for row in rows)
    error = (0.3 * 0.7 * 2 * 8 * len(rows)) ** 0.5
    assert near(images.most_common(1)[0][1], 0.3 * len(rows), error)
    assert counts.largest_user == images.most_common(1)[0][1]


def test_shoots_are_runs_that_share_first_tags() -> None:
    rows, _ = generate(alphabetical=0, same_order=1, **CLEAN)
    runs = 1 + sum(one["user_id"] != other["user_id"] for one, other in pairwise(rows))
    # Neighbouring shoots are of one user now and then.
    same = (zipf_mandelbrot(1000, 1.0, 10.0) ** 2).sum()
    assert len(rows) / runs == pytest.approx(8 / (1 - same), rel=0.1)
    alike = [
        shares_more_than_three(one["tags"][:5], other["tags"][:5])
        for one, other in pairwise(rows)
        if one["user_id"] == other["user_id"] and min(len(one["tags"]), len(other["tags"])) >= 10
    ]
    # Both lists keep all of five tags but one at the most, each kept with 0.9².
    kept = 0.9**2
    expected = kept**5 + 5 * kept**4 * (1 - kept)
    inside = (7 / 8) / (7 / 8 + same / 8)  # of pairs of one user, those of one shoot
    assert np.mean(alike) == pytest.approx(expected * inside, abs=0.03)


def test_shoots_return_at_other_times() -> None:
    def late(returns: float) -> int:
        rows, _ = generate(6000, alphabetical=0, same_order=1, returns=returns, users=1, **CLEAN)
        seen: dict[tuple[int, frozenset[str]], int] = {}
        found = 0
        for place, row in enumerate(rows):
            for four in combinations(row["tags"][:5], 4):
                key = (row["user_id"], frozenset(four))
                found += place - seen.get(key, place) > 500
                seen.setdefault(key, place)
        return found

    assert late(0.2) > 10 * max(late(0), 1)


def test_dirt_at_its_rates(crawl: tuple[list[dict[str, Any]], Counts]) -> None:
    rows, counts = crawl
    images = len(rows)
    blank = {"", " "}
    plain = {*make_tags(5000, 0), *blank, None}
    lists = [row["tags"] for row in rows if row["tags"] is not None]
    found = {
        "null_lists": images - len(lists),
        "null_tags": sum(None in tags for tags in lists),
        "empty_tags": sum(bool(blank & set(tags)) for tags in lists),
        "duplicate_tags": sum(
            max(Counter(tag for tag in tags if tag).values(), default=0) > 1 for tags in lists
        ),
        "odd_spellings": sum(tag not in plain for tags in lists for tag in tags),
    }
    for kind, count in found.items():
        total = counts.tags if kind == "odd_spellings" else images
        expected = total * getattr(CrawlSettings(1), kind)
        assert near(count, expected, expected**0.5), kind
        assert getattr(counts, kind) == pytest.approx(count, rel=0.04), kind  # dirt covers dirt


def test_no_dirt_when_not_asked_for() -> None:
    rows, counts = generate(2000, **CLEAN)
    known = set(make_tags(5000, 0))
    assert all(set(row["tags"]) <= known for row in rows)
    assert all(getattr(counts, kind) == 0 for kind in CLEAN if kind != "few_tags")


def test_spellings() -> None:
    tags = make_tags(20_000, 3)
    assert tags == make_tags(20_000, 3)
    assert tags[200:] != make_tags(20_000, 4)[200:]
    assert tuple(tags[: len(FREQUENT)]) == FREQUENT
    assert len({normalise(tag) for tag in tags}) == 20_000
    assert all(normalise(tag) == tag for tag in tags)
    assert 0.02 < np.mean([" " in tag for tag in tags]) < 0.06
    assert 0.02 < np.mean([not tag.isascii() for tag in tags]) < 0.05
    odd = spell_oddly(tags, 3)
    assert len({*tags, *odd}) == 40_000
    kinds: Counter[str] = Counter()
    for tag, spelled in zip(tags, odd, strict=True):
        kinds["back"] += normalise(spelled) == tag
        kinds["capitals"] += spelled.lower() != spelled and normalise(spelled) == tag
        kinds["space"] += spelled.split() != spelled.split(" ")
        kinds["decomposed"] += unicodedata.normalize("NFC", spelled) == tag
        kinds["full width"] += unicodedata.normalize("NFKC", spelled) == tag != normalise(spelled)
        kinds["emoji"] += spelled.startswith(f"{tag} ") and not spelled.isascii()
    assert 0.75 < kinds["back"] / 20_000 < 0.85
    assert all(count > 50 for count in kinds.values())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"images": -1}, "images=-1: give a number from 1 to"),
        ({"images": 0}, "images=0: give a number from 1 to"),
        ({"images": 1.5}, "images=1.5: give a whole number"),
        ({"images": True}, "images=True: give a whole number"),
        ({"seed": -1}, "seed=-1: give"),
        ({"alphabetical": 1.2}, "alphabetical=1.2: give a number from 0 to 1$"),
        ({"hot_user": -0.1}, "hot_user=-0.1: give a number from 0 to 1$"),
        ({"null_lists": "many"}, "null_lists=many: give a number"),
        ({"tags_mean": 49.0}, "tags_mean=49.0: give a number from 1.5 to 45"),
        ({"tags_mean": float("nan")}, "tags_mean=nan: give a number"),
        ({"tags_cap": 1000}, "tags_cap=1000: give a number from 5 to 200"),
        ({"distinct_tags": 60}, "distinct_tags=60: give a number from 200 to"),
        ({"users": 0}, "users=0: give a number from 1 to"),
        ({"shoot_mean": 0.5}, "shoot_mean=0.5: give"),
        ({"zipf_exponent": -1}, "zipf_exponent=-1: give"),
    ],
)
def test_unusable_settings_are_named(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        CrawlSettings(**{"images": 10, **keys})


def test_smallest_and_oddest_settings_work() -> None:
    for keys in (
        {"images": 1},
        {"users": 1, "shoot_mean": 1},
        {"few_tags": 1, "duplicate_tags": 1, "null_tags": 1, "empty_tags": 1},
        {"null_lists": 1},
        {"odd_spellings": 1, "alphabetical": 1},
        {"hot_user": 1},
        {"tags_cap": 200, "tags_mean": 180, "distinct_tags": 800},
        {"seed": 2**63 - 1},
    ):
        rows, counts = generate(**{"images": 300, **keys})
        assert counts.images == len(rows) == keys.get("images", 300)
