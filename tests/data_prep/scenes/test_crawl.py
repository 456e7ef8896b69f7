"""The crawl of drawn scenes: order of the tags, and shares of dirt."""

from itertools import groupby
from typing import Any

import pytest

from data_prep.errors import UserError
from data_prep.scenes import SceneSettings, Upload, uploads
from data_prep.scenes.backgrounds import SETTINGS
from data_prep.scenes.crawl import GENERIC
from data_prep.scenes.nouns import COLOURS, NOUNS
from data_prep.text import normalise

KINDS = (
    *("near_duplicates", "alphabetical", "few_tags"),
    *("hidden_nouns", "missing_nouns", "odd_spellings"),
)
CLEAN = dict.fromkeys(KINDS, 0.0)


def rows(images: int = 1500, **keys: Any) -> list[Upload]:
    return list(uploads(SceneSettings(images, **{**CLEAN, **keys})))


def test_tags_without_dirt_are_nouns_then_colours_then_setting_then_noise() -> None:
    kinds = {
        **dict.fromkeys(NOUNS, 0),
        **dict.fromkeys(COLOURS, 1),
        **{tag: 2 for setting in SETTINGS.values() for tag in setting.tags},
        **dict.fromkeys(GENERIC, 3),
    }
    assert len(kinds) == len(NOUNS) + len(COLOURS) + len(GENERIC) + 15  # "wall" is of two settings
    for row in rows(400):
        assert row.dirt == frozenset()
        order = [kinds[tag] for tag in row.tags]
        assert order == sorted(order)
        assert len(set(row.tags)) == len(row.tags) >= 5
        parts = {kind: list(tags) for kind, tags in groupby(row.tags, kinds.get)}
        assert parts[0] == list(dict.fromkeys(thing.noun for thing in row.plan.things))
        assert set(parts[1]) == {thing.colour for thing in row.plan.things}
        assert tuple(parts[2]) == SETTINGS[row.plan.setting].tags


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "odd_spellings"])
def test_a_share_of_dirt_is_as_asked(kind: str) -> None:
    share: dict[str, Any] = {kind: 0.3}
    found = rows(users=1000, **share)
    named = {"missing_nouns": lambda row: len(row.plan.groups())}.get(kind, lambda row: 1)
    of = sum(named(row) for row in found)
    if kind == "missing_nouns":
        dirty = sum(len(row.plan.groups().keys() - set(row.tags)) for row in found)
    else:
        dirty = sum(kind in row.dirt for row in found)
    assert 0.25 < dirty / of < 0.35
    others = {name for row in found for name in row.dirt} - {kind}
    assert others == ({"missing_nouns"} if kind == "few_tags" else set())
    previous = None
    for row in found:
        if kind == "alphabetical":
            assert (kind in row.dirt) == (row.tags == sorted(row.tags))
        if kind == "few_tags":
            assert (kind in row.dirt) == (len(row.tags) < 5)
        if kind == "hidden_nouns":
            hidden = NOUNS.keys() & set(row.tags) - row.plan.groups().keys()
            assert len(hidden) == (kind in row.dirt)
        if kind == "near_duplicates":
            repeats = previous is not None and previous.tags[:-1] == row.tags[:-1]
            assert (kind in row.dirt) == repeats
            if previous is not None and repeats:
                assert row.user_id == previous.user_id
                assert row.plan.groups() == previous.plan.groups()
                assert row.plan != previous.plan
        previous = row


def test_odd_spellings_are_of_the_tags() -> None:
    plain, odd = rows(500), rows(500, odd_spellings=0.3)
    pairs = [
        pair for a, b in zip(plain, odd, strict=True) for pair in zip(a.tags, b.tags, strict=True)
    ]
    changed = [(one, two) for one, two in pairs if one != two]
    assert 0.2 < len(changed) / len(pairs) < 0.32  # some oddities change nothing
    assert sum(normalise(two) == one for one, two in changed) > 0.6 * len(changed)
    assert any("_" in two for _, two in changed)


def test_rows_are_the_same_again_and_the_first_of_a_longer_crawl() -> None:
    keys = {"seed": 4, "near_duplicates": 0.3, "odd_spellings": 0.1, "alphabetical": 0.2}
    short = rows(50, **keys)
    assert short == rows(50, **keys) == rows(80, **keys)[:50]
    assert short != rows(50, **{**keys, "seed": 5})
    ids = [row.image_id for row in short]
    assert ids == sorted(set(ids))


def test_users_are_of_different_diligence() -> None:
    found = [row.user_id for row in rows(2000, users=50)]
    counts = sorted((found.count(user) for user in set(found)), reverse=True)
    assert len(counts) == 50
    assert counts[0] > 2 * counts[-1]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("images", 0, "images=0: give a number from 1 to"),
        ("images", -3, "images=-3: give a number from 1 to"),
        ("images", "many", "images=many: give a whole number"),
        ("images", True, "images=True: give a whole number"),
        ("captioned", 1, "captioned=1: give a number from 2 to"),
        ("size", 20, "size=20: give a number from 160 to 2,048"),
        ("size", 320.5, "size=320.5: give a whole number"),
        ("users", 0, "users=0: give a number from 1"),
        ("seed", -1, "seed=-1: give a number from 0"),
        ("few_tags", 1.5, "few_tags=1.5: give a number from 0 to 1"),
        ("alphabetical", -0.1, "alphabetical=-0.1: give a number from 0 to 1"),
        ("near_duplicates", float("nan"), "near_duplicates=nan: give a number from 0 to 1"),
        ("odd_spellings", None, "odd_spellings=None: give a number"),
    ],
)
def test_unusable_settings_name_the_key(key: str, value: object, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}") as told:
        SceneSettings(**{key: value})  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def test_extreme_shares_still_give_rows() -> None:
    found = rows(40, **dict.fromkeys(CLEAN, 1.0))
    assert all(1 <= len(row.tags) <= 4 for row in found)
