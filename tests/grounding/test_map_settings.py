"""Settings of maps: what is refused, by the name of the value."""

from typing import Any

import pytest

from data_prep.errors import UserError
from grounding.word_maps import METHODS, MapSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "cam", "layers": (14,)}, r"layers=\[14\]: give none, cam has its own layer"),
        ({"layers": ()}, r"layers=\[\]: give grids or layers, .*each once"),
        ({"layers": (0,)}, r"layers=\[0\]: give grids"),
        ({"layers": (True,)}, r"layers=\[True\]: give grids"),
        ({"layers": ([7],)}, r"layers=\[\[7\]\]: give grids"),
        ({"layers": (14, 7, 14)}, r"layers=\[14, 7, 14\]: give grids or layers, .*each once"),
        ({"layers": ("layer3", "layer3")}, "layers=.*each once"),
        ({"layers": 14}, "layers=14: give grids"),
        ({"short_sides": ()}, r"short_sides=\[\]: give whole numbers of pixels"),
        ({"short_sides": (100_000,)}, r"short_sides=\[100000\]: .* from 1 to 4096"),
        ({"short_sides": (384.0,)}, r"short_sides=\[384.0\]: give whole numbers"),
        ({"short_sides": (384, 384)}, "short_sides=.*each once"),
        ({"flip": 1}, "flip=1: give true or false"),
        ({"residual": "x"}, "residual=x: give one of positive, signed"),
        ({"bottlenecks": "x"}, "bottlenecks=x: give one of positive, excitatory, composed"),
        ({"method": "cam", "residual": "signed"}, "residual=signed: leave it out, cam has none"),
        ({"method": "cam", "bottlenecks": "composed"}, "bottlenecks=composed: leave it out, cam"),
        ({"method": "lime"}, "method=lime: give one of cmwp, mwp, wta, cam, "),
    ],
)
def test_unusable_values_are_told(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}") as caught:
        MapSettings(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_scales_and_mirror_images(method: str) -> None:
    MapSettings(method, short_sides=(384, 224), flip=True)


def test_layers_are_grids_or_names() -> None:
    MapSettings("mwp", layers=(7, "layer3"), residual="signed", bottlenecks="composed")
