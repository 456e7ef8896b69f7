"""Lines of a table of methods, from the configuration."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from data_prep.errors import UserError
from grounding.word_maps import MapSettings
from pipeline.method_lines import method_lines

KEYS: dict[str, Any] = {
    "methods": ["cmwp", "cam"],
    "layers": None,
    "short_sides": [224, 320],
    "flip": True,
    "residual": "signed",
    "bottlenecks": "composed",
    "blends": {"both": {"rule": "product", "cmwp": {"layers": [7, 14]}, "cam": {"flip": True}}},
}


def lines(**changes: Any) -> dict[str, tuple[tuple[MapSettings, ...], str]]:
    found = method_lines(OmegaConf.create(KEYS | changes))
    return {line.name: (line.maps, line.rule) for line in found}


def test_methods_share_the_keys_that_they_have() -> None:
    common: dict[str, Any] = {"short_sides": (224, 320), "flip": True}
    engine = MapSettings("cmwp", residual="signed", bottlenecks="composed", **common)
    assert lines() == {
        "cmwp": ((engine,), "mean"),
        "cam": ((MapSettings("cam", **common),), "mean"),
    }


def test_each_layer_has_a_line_of_the_engines_methods_only() -> None:
    found = method_lines(
        OmegaConf.create(KEYS | {"layers": [28, "layer3"], "methods": ["mwp", "cam"]})
    )
    assert [(line.name, line.method, line.layer) for line in found] == [
        ("mwp@28", "mwp", 28),
        ("mwp@layer3", "mwp", "layer3"),
        ("cam", "cam", None),
    ]
    assert [line.maps[0].layers for line in found] == [(28,), ("layer3",), None]
    assert list(lines(layers=[28])) == ["cmwp", "cam"]  # one layer needs no name


def test_a_blend_has_keys_of_its_own() -> None:
    maps, rule = lines(methods=["both"])["both"]
    assert rule == "product"
    assert maps == (MapSettings("cmwp", layers=(7, 14)), MapSettings("cam", flip=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": []}, "methods is empty; give some of cmwp, .*both"),
        ({"methods": ["cwmp"]}, "methods=cwmp: give some of cmwp, .*both"),
        ({"methods": ["cam", "cam"]}, "named twice"),
        ({"layers": []}, "layers is empty"),
        ({"layers": [7.5]}, r"^layers=\[7.5\]: give grids or layers"),
        ({"short_sides": 384}, "^short_sides=384: give whole numbers"),
        ({"methods": ["a"], "blends": {"a": {}}}, "blends.a={}: give methods and their keys"),
        ({"methods": ["a"], "blends": {"a": {"rule": "max", "cam": {}}}}, "blends.a.rule=max"),
        ({"methods": ["a"], "blends": {"a": {"cam": {"flips": True}}}}, "blends.a.cam.flips: no"),
        ({"methods": ["a"], "blends": {"a": {"cma": {}}}}, "^blends.a.cma: give some of"),
        ({"methods": ["a"], "blends": {"a": {"cam": 384}}}, "blends.a.cam=384: give its keys"),
    ],
)
def test_unusable(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        lines(**changes)
