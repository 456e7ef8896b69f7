import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grounding.phrase_maps import Rule, combine

# Two words on a grid of one row: the first has the shares 1/4 and 3/4, the second 1 and 0.
MAPS = torch.tensor([[[1.0, 3.0]], [[5.0, 0.0]]])


@pytest.mark.parametrize(
    ("rule", "head", "expected"),
    [
        ("mean", None, [0.625, 0.375]),
        ("mean", 0, [0.625, 0.375]),
        ("max", 0, [1.0, 0.75]),
        ("product", 0, [math.sqrt(0.25), 0.0]),
        ("head", 0, [0.8 * 0.25 + 0.2, 0.8 * 0.75]),
        ("head", 1, [0.2 * 0.25 + 0.8, 0.2 * 0.75]),
        ("head", None, [0.625, 0.375]),
    ],
)
def test_rules_by_hand(rule: Rule, head: int | None, expected: list[float]) -> None:
    combined = combine(MAPS, head, rule, head_weight=0.8)
    torch.testing.assert_close(combined, torch.tensor([expected]))


@pytest.mark.parametrize("rule", ["mean", "max", "product", "head"])
def test_one_word_none_and_empty_maps(rule: Rule) -> None:
    torch.testing.assert_close(combine(MAPS[:1], 0, rule), torch.tensor([[0.25, 0.75]]))
    assert torch.equal(combine(MAPS[:0], None, rule), torch.zeros(1, 2))
    assert torch.equal(combine(torch.zeros(2, 3, 4), 1, rule), torch.zeros(3, 4))


def test_a_map_without_attention_counts_as_zeros() -> None:
    maps = torch.stack([MAPS[0], torch.zeros(1, 2)])
    assert combine(maps, 0, "mean").tolist() == [[0.125, 0.375]]
    assert combine(maps, 0, "max").tolist() == [[0.25, 0.75]]


def test_a_product_always_has_attention() -> None:
    """A word seen nowhere does not wipe out the others; words seen apart give their mean."""
    nowhere = torch.stack([MAPS[0], torch.zeros(1, 2)])
    torch.testing.assert_close(combine(nowhere, 1, "product"), torch.tensor([[0.25, 0.75]]))
    apart = torch.tensor([[[2.0, 0.0, 0.0]], [[0.0, 1.0, 3.0]]])
    torch.testing.assert_close(combine(apart, 0, "product"), torch.tensor([[0.5, 0.125, 0.375]]))


def test_unknown_rule() -> None:
    with pytest.raises(ValueError, match="mean, max, product, head"):
        combine(MAPS, 0, "sum")  # type: ignore[arg-type]


@given(st.integers(1, 5), st.data())
def test_scale_and_order_of_words_do_not_matter(words: int, data: st.DataObject) -> None:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 999)))
    maps = torch.rand(words, 3, 4, generator=generator, dtype=torch.float64)
    order = torch.randperm(words, generator=generator)
    scale = torch.rand(words, 1, 1, generator=generator, dtype=torch.float64) + 0.1
    head = data.draw(st.integers(0, words - 1))
    rule: Rule = data.draw(st.sampled_from(["mean", "max", "product", "head"]))
    other = combine((scale * maps)[order], order.tolist().index(head), rule, 0.7)
    torch.testing.assert_close(combine(maps, head, rule, 0.7), other)
    if rule in ("mean", "head"):
        assert float(other.sum()) == pytest.approx(1)
