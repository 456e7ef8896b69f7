"""Measurements of a net are those of the scores of its photos, one by one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from data_prep.errors import UserError
from grounding.processes import Processes
from grounding.tag_metrics import tag_metrics
from grounding.training import evaluation
from grounding.training.batch import Batch
from grounding.training.evaluation import Evaluation, can_be_measured
from tests.grounding.training.runs import ALONE, TAGS, Noise, small_net


class Shapes:
    """Three batches of photos of two shapes."""

    steps = 3
    samples = 18

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        sizes = [(3, 4 + step, 5 + kind) for step in range(3) for kind in range(2)]
        self.inputs = [torch.from_numpy(rng.normal(0, 1, (3, *s))).float() for s in sizes]
        self.targets = torch.from_numpy(rng.integers(-1, 2, (18, TAGS), np.int8))
        self.targets[:, 0] = torch.arange(18) % 2  # every photo has a known tag

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        assert (epoch, first_step) == (0, 0)
        for n in range(3):
            rows = slice(6 * n, 6 * n + 6)
            yield Batch(self.inputs[2 * n : 2 * n + 2], self.targets[rows], torch.arange(6), 6)


def expected_metrics(net: nn.Module, source: Any, photos: int) -> dict[str, Any]:
    """Photo by photo."""
    net.eval()
    with torch.no_grad():
        scores = [net(photo[None])[0].numpy() for each in source.inputs for photo in each]
    return tag_metrics(np.stack(scores)[:photos], source.targets.numpy()[:photos])


def test_photos_of_several_shapes() -> None:
    net, source = small_net(norm=True, dropout=0.5).train(), Shapes()
    evaluate = Evaluation(source, ALONE)
    found = evaluate(net)
    expected = expected_metrics(net, source, 18)
    assert evaluate.ap is not None
    np.testing.assert_allclose(evaluate.ap, expected.pop("ap"), rtol=1e-6)
    assert found == pytest.approx(expected, rel=1e-6)
    assert found["images"] == 18


@pytest.mark.parametrize(("most", "photos"), [(1, 6), (6 * TAGS, 6), (6 * TAGS + 1, 12)])
def test_too_many_scores(monkeypatch: pytest.MonkeyPatch, most: int, photos: int) -> None:
    monkeypatch.setattr(evaluation, "MOST_SCORES", most)
    net, source = small_net(), Shapes()
    expected = expected_metrics(net, source, photos) | {"images_left_out": 18 - photos}
    del expected["ap"]
    assert Evaluation(source, ALONE)(net) == pytest.approx(expected, rel=1e-6)


def test_the_precision_is_that_of_the_training() -> None:
    net, source = small_net(norm=True).eval(), Shapes()
    kinds: list[torch.dtype] = []
    net.register_forward_hook(lambda _, __, logits: kinds.append(logits.dtype))
    exact, rough = (Evaluation(source, ALONE, each)(net) for each in ("fp32", "bf16"))
    assert kinds == [torch.float32] * 6 + [torch.bfloat16] * 6
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        scores = [net(each).float().numpy() for each in source.inputs]
    expected = tag_metrics(np.concatenate(scores), source.targets.numpy())
    del expected["ap"]
    assert rough == pytest.approx(expected, rel=1e-9)
    assert rough != exact


@pytest.mark.parametrize("value", [-1, 0, 1])
def test_a_split_in_which_nothing_can_be_measured(value: int) -> None:
    source = Noise()
    source.targets[:] = value
    evaluate = Evaluation(source, ALONE)
    assert evaluate(small_net()) == {}
    assert evaluate.ap is None


def test_a_split_without_photos() -> None:
    assert Evaluation(Noise(count=0), ALONE)(small_net()) == {}
    assert Evaluation(Noise(lost=frozenset(range(11))), ALONE)(small_net()) == {}


def test_only_the_first_process_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    def gather(here: Processes, value: Any) -> list[Any]:
        return [value, value] if here.is_first else []

    monkeypatch.setattr(Processes, "gather", gather)
    source, device = Shapes(), torch.device("cpu")
    twice = Evaluation(source, Processes(0, 2, device))(small_net())
    assert twice["images"] == 36
    assert Evaluation(source, Processes(1, 2, device))(small_net()) == {}


def test_scores_that_are_not_finite() -> None:
    net = small_net()
    list(net.parameters())[-1].data.fill_(float("nan"))
    with pytest.raises(UserError, match="a score is not finite"):
        Evaluation(Shapes(), ALONE)(net)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([[1, 0], [1, 0]], False),
        ([[1, -1], [-1, 0]], False),
        ([[1, 0], [0, 0]], True),
        ([[-1, 1], [-1, 0]], True),
    ],
)
def test_what_can_be_measured(targets: list[list[int]], expected: bool) -> None:
    assert can_be_measured(np.array(targets, np.int8)) is expected
