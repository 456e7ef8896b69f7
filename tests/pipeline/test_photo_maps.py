"""Classes of a dataset's splits, what stands for them, and what the stages on photos share."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1

from data_prep.annotated import AnnotatedData
from data_prep.errors import UserError
from pipeline.photo_maps import photo_maps, tell_rest
from tests.pipeline.point.made import configuration

VOC = AnnotatedData((), ("dog", "cat"))
OWN = AnnotatedData((), ("dog", "zebra"), in_order=False)
OTHER = AnnotatedData((), ("axe", "zebra"), in_order=False)
LARGER = AnnotatedData((), ("axe", "dog", "zebra"), in_order=False)


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    weights = tmp_path / "weights.safetensors"
    save_file(squeezenet1_1(num_classes=2).state_dict(), weights)
    return [
        *("model=efficientnet_lite0", "model.name=squeezenet1_1", f"model.weights={weights}"),
        *("dataset.root=.", "methods=[cmwp]"),
    ]


def words(keys: list[str], vocabulary: str, data: list[AnnotatedData]) -> list[str]:
    config = configuration(*keys, f"model.vocabulary={vocabulary}")
    maps, absent = photo_maps(config, data, torch.device("cpu"))
    return [*maps.words, *(f"no {label}" for label in absent)]


def test_the_dataset_is_the_vocabulary_where_it_has_an_order(keys: list[str]) -> None:
    assert words(keys, "dataset", [VOC, VOC]) == ["dog", "cat"]
    for data in ([OWN], [VOC, LARGER], [LARGER, VOC]):
        with pytest.raises(UserError, match="^model.vocabulary=dataset: .*; give a list") as error:
            words(keys, "dataset", data)
        assert "\n" not in str(error.value)


def test_classes_of_two_splits(keys: list[str]) -> None:
    for data in ([OWN, OTHER], [OTHER, OWN], [OWN, LARGER], [LARGER, OTHER]):
        assert words(keys, "[dog,zebra]", data) == ["dog", "zebra", "no axe"]


def test_no_time_at_all_has_a_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"published_source": "a paper", "absent": ["axe"], "seconds": 0.0, "processes": 2}
    tell_rest(metrics, 3, [], tmp_path, "report: there")
    assert capsys.readouterr().out.splitlines() == [
        "as published: a paper",
        "not asked, since the model does not know them: axe",
        "6000.00 photos/s; report: there",
    ]
