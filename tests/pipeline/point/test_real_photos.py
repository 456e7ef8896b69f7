"""stage=point over all photos of a split: the centre, whose figures are known from elsewhere."""

from pathlib import Path

import pytest
import torch

from data_prep.voc import VOC_CLASSES
from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.heads import tag_net
from tests.pipeline.point.made import metrics, run


@pytest.mark.real_data
@pytest.mark.usefixtures("no_pictures")
def test_centre_on_all_of_val(real_data: Path, tmp_path: Path) -> None:
    """The same as counted straight from the annotations, in `tests.grounding.test_pointing`."""
    root = real_data / "VOCdevkit" / "VOC2007"
    torch.manual_seed(0)
    net, preprocessing, name = tag_net("timm:test_resnet", len(VOC_CLASSES), "random")
    vocabulary = Vocabulary.from_tags(VOC_CLASSES)
    TagClassifier(net, vocabulary, preprocessing, name, True).save(tmp_path / "model", {})
    keys = [f"model.folder={tmp_path / 'model'}", f"dataset.root={root}", "dataset.split=val"]
    flags = f"dataset.difficult={root / 'pointing_game_difficult.txt'}"
    run(*keys, flags, "methods=[centre]", "device=cpu", f"out={tmp_path / 'out'}")
    found = metrics(tmp_path / "out")
    assert (found["photos"], found["pairs"], found["difficult_pairs"]) == (1238, 1755, 570)
    assert 100 * found["methods"]["centre"]["all"] == pytest.approx(69.02, abs=0.01)
    assert 100 * found["methods"]["centre"]["difficult"] == pytest.approx(38.28, abs=0.01)
    assert found["difficult"]["source"] == "published"
    assert found["rejected"] == {}
