"""Lines of a table of methods, from the configuration."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.heads import tag_net
from grounding.word_maps import MapSettings
from pipeline.method_lines import check_layers, method_lines

KEYS: dict[str, Any] = {
    "methods": ["cmwp", "cam"],
    "layers": None,
    "short_sides": [224, 320],
    "flip": True,
    "residual": "signed",
    "bottlenecks": "composed",
    "blends": {
        "both": {
            "rule": "product",
            "cmwp": {"layers": [7, 14], "short_sides": [512], "bottlenecks": "positive"},
            "cam": {"flip": False},
            "mwp": {},
        }
    },
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


def test_a_blend_has_keys_of_its_own_or_the_stages() -> None:
    """But for the layers; and only those that a method has."""
    maps, rule = lines(methods=["both"], layers=[28])["both"]
    assert rule == "product"
    assert maps == (
        MapSettings("cmwp", (7, 14), (512,), True, "signed", "positive"),
        MapSettings("cam", None, (224, 320), False),
        MapSettings("mwp", None, (224, 320), True, "signed", "composed"),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": []}, "methods is empty; give some of cmwp, .*both"),
        ({"methods": ["cwmp"]}, "methods=cwmp: give some of cmwp, .*both"),
        ({"methods": ["cam", "cam"]}, "named twice"),
        ({"layers": []}, r"layers=\[\]: give grids or layers"),
        ({"layers": [7.5]}, r"layers=\[7.5\]: give grids or layers"),
        ({"layers": [14, 14]}, r"layers=\[14, 14\]: give grids or layers, .*each once"),
        ({"short_sides": 384}, "short_sides=384: give whole numbers"),
        ({"methods": ["both"], "short_sides": [0]}, r"short_sides=\[0\]: give whole numbers"),
        ({"methods": ["cam"], "residual": "some"}, "residual=some: give one of"),
        ({"blends": {"cam": {"mwp": {}}}}, "blends.cam: a method's name; give the blend another"),
        ({"blends": {"cmwp@7": {"mwp": {}}}}, "blends.cmwp@7: a method's name"),
        ({"methods": ["a"], "blends": {"a": {}}}, "blends.a={}: give methods and their keys"),
        ({"methods": ["a"], "blends": {"a": {"rule": "max", "cam": {}}}}, "blends.a.rule=max"),
        ({"methods": ["a"], "blends": {"a": {"cam": {"flips": True}}}}, "blends.a.cam.flips: no"),
        ({"methods": ["a"], "blends": {"a": {"cma": {}}}}, "blends.a.cma: give some of"),
        ({"methods": ["a"], "blends": {"a": {"cam": 384}}}, "blends.a.cam=384: give its keys"),
        ({"methods": ["a"], "blends": {"a": {"cam": {"flip": 1}}}}, "blends.a.cam.flip=1: give "),
        (
            {"methods": ["a"], "blends": {"a": {"cam": {"layers": [7]}}}},
            r"blends.a.cam.layers=\[7\]: give none",
        ),
    ],
)
def test_unusable(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        lines(**changes)
    assert "\n" not in str(caught.value)


def test_no_blends() -> None:
    assert list(lines(blends=None)) == ["cmwp", "cam"]


@pytest.fixture(scope="module")
def resnet() -> TagClassifier:
    """Grids of 112, 56, 28, 14 and 7 at 224 pixels."""
    net, preprocessing, name = tag_net("resnet18", 2, "random")
    return TagClassifier(net, Vocabulary.from_tags(["a", "b"]), preprocessing, name)


def check(resnet: TagClassifier, **changes: Any) -> None:
    check_layers(method_lines(OmegaConf.create(KEYS | {"methods": ["mwp"]} | changes)), resnet)


def test_the_layer_of_a_line(resnet: TagClassifier) -> None:
    changes = {"methods": ["mwp", "cam", "both"], "layers": [28, "layer3"]}
    found = method_lines(OmegaConf.create(KEYS | changes))
    assert [line.target(resnet) for line in found] == [("layer2", 28), ("layer3", 14), None, None]
    (usual,) = method_lines(OmegaConf.create(KEYS | {"methods": ["wta"]}))
    assert usual.target(resnet) == ("layer3", 14)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": [14, 13]}, "layers: 14 and 13 are both the layer layer3; give one of them"),
        ({"layers": ["layer3", 14]}, "layers: layer3 and 14 are both the layer layer3; "),
        (
            {"layers": [1000]},
            "layers: no layer has a grid near 1000; that of the nearest, x, is 224$",
        ),
        ({"layers": [3]}, "layers: no layer has a grid near 3; that of the nearest, layer4, is 7$"),
        (
            {"methods": ["a"], "blends": {"a": {"mwp": {"layers": [7, 8]}}}},
            "blends.a.mwp.layers: 7 and 8 are both the layer layer4",
        ),
    ],
)
def test_layers_that_the_model_has_not(
    changes: dict[str, Any], message: str, resnet: TagClassifier
) -> None:
    with pytest.raises(UserError, match=f"^{message}") as caught:
        check(resnet, **changes)
    assert "\n" not in str(caught.value)


def test_layers_that_differ(resnet: TagClassifier) -> None:
    """The same layer by other methods, and in a blend, is another line."""
    blends = {"a": {"mwp": {"layers": [14]}, "cmwp": {"layers": [12]}}}
    check(resnet, methods=["mwp", "cmwp", "a"], layers=[7, 16, "layer2"], blends=blends)
