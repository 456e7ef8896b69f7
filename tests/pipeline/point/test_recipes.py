"""Recipes of published settings: they fit their nets and datasets, and run."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import save_file
from torchvision.models import googlenet, resnet50

import conf
from pipeline.method_lines import method_lines
from pipeline.published import published_of
from tests.pipeline.point.made import metrics, run

FOLDER = Path(conf.__path__[0]) / "experiment" / "point"
RECIPES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def recipe(name: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", ["stage=point", f"experiment=point/{name}"])


def test_every_net_has_both_datasets() -> None:
    nets = ("googlenet", "resnet50", "vgg16")
    assert [f"{net}_{data}" for net in nets for data in ("coco", "voc07")] == RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_outputs_and_figures_fit(name: str) -> None:
    config = recipe(name)
    net, data = name.split("_")
    assert config.model.name == net
    assert config.dataset.kind == {"voc07": "voc", "coco": "coco"}[data]
    assert config.model.vocabulary == "dataset"
    assert config.published_source
    shown = [published_of(config, line) for line in method_lines(config)]
    assert [each for each in shown if each] == list(config.published.values())
    assert shown[0]  # of c-MWP
    coarser = OmegaConf.merge(config, {"layers": [7]})
    assert isinstance(coarser, DictConfig)
    assert not published_of(coarser, method_lines(coarser)[0])  # of another layer


CHEAP = ("methods=[cmwp,centre,grad_cam]", "examples=0", "device=cpu", "limit=1")


def test_a_recipe_runs_with_ones_own_weights(root: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(resnet50(num_classes=20).state_dict(), weights)
    keys = ["experiment=point/resnet50_voc07", f"model.weights={weights}", f"dataset.root={root}"]
    run(*keys, *CHEAP, f"out={tmp_path / 'out'}")
    found = metrics(tmp_path / "out")["methods"]
    assert found["cmwp"]["published"] == [0.907, 0.821]
    assert found["cmwp"]["target"] == "layer3"
    assert found["grad_cam"]["published"] == [0.904, 0.823]


@pytest.mark.parametrize("auxiliary", [True, False])
def test_googlenet_with_and_without_auxiliary_classifiers(
    root: Path, tmp_path: Path, auxiliary: bool
) -> None:
    torch.manual_seed(0)
    net = googlenet(num_classes=20, aux_logits=auxiliary, init_weights=False)
    torch.save(net.state_dict(), tmp_path / "weights.pth")
    keys = ["experiment=point/googlenet_voc07", f"model.weights={tmp_path / 'weights.pth'}"]
    run(*keys, f"dataset.root={root}", *CHEAP, f"out={tmp_path / 'out'}")
    assert metrics(tmp_path / "out")["methods"]["cmwp"]["grid"] == 28


def test_a_recipe_takes_a_trained_model_instead(model: str, root: Path, tmp_path: Path) -> None:
    """Its own vocabulary counts, not the recipe's."""
    folder = model.removeprefix("model.folder=")
    keys = ["experiment=point/googlenet_voc07", "model=folder", f"model.folder={folder}"]
    cheap = ["methods=[cmwp]", "examples=0", "device=cpu", "limit=1"]
    run(*keys, f"dataset.root={root}", *cheap, f"out={tmp_path / 'out'}")
    assert "person" in metrics(tmp_path / "out")["absent"]
