"""Maps without any attention, for the tests of the stages on annotated photos."""

import pytest
from torch import Tensor

from grounding.word_maps import word_maps
from pipeline import method_lines


def zero_maps(monkeypatch: pytest.MonkeyPatch, method: str, index: int) -> None:
    """Let a method see nothing of one class of the model."""

    def some_zero(looks, priors, settings, rule):  # type: ignore[no-untyped-def]
        maps: Tensor = word_maps(looks, priors, settings, rule)
        if settings[0].method == method:
            maps = maps.clone()
            maps[priors.argmax(1) == index] = 0
        return maps

    monkeypatch.setattr(method_lines, "word_maps", some_zero)
