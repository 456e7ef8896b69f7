"""Real photos with the bundled net, which knows a part of their phrases' words."""

from pathlib import Path

import pytest

from tests.pipeline.localize.made import metrics, rows, run

pytestmark = pytest.mark.real_data


def test_four_photos(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "flickr30k_entities_dev"
    if not root.is_dir():
        pytest.skip(f"{root}: no such folder")
    keys = ["model=efficientnet_lite0", f"dataset.root={root}", "dataset.split=dev"]
    keys += ["maps.cam.short_sides=[224]", "maps.cmwp.short_sides=[224]", "baselines=null"]
    keys += ["maps.cam.flip=false"]
    keys += ["device=cpu", "limit=4"]
    run(*keys, "proposals=exhaustive", f"out={tmp_path / 'out'}")
    found = metrics(tmp_path / "out")
    assert found["photos"] == 4
    assert found["phrases"] > 10
    assert found["upper_bound"] > 0.9
    assert 0.1 < found["out_of_vocabulary"] < 0.9
    assert found["pointing"]["any_box"] > 0.2
    assert 0 < found["recall"]["merged"]["1"] <= found["recall"]["merged"]["10"]
    assert found["rejected"] == {}
    assert all(len(row["top_boxes"]) == 10 for row in rows(tmp_path / "out"))
