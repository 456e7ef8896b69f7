"""What the report of stage=point is called."""

from types import SimpleNamespace

import pytest

from pipeline.point_output import _settings
from pipeline.report.templates import title_parts
from tests.pipeline.point.made import configuration


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (["dataset=voc07", "dataset.root=kit/VOC2007"], "kit/VOC2007"),
        (["dataset=coco", "dataset.file=ann/val.json", "dataset.images=photos"], "ann/val.json"),
        (
            ["dataset=imagenet", "dataset.annotations=boxes/mine", "dataset.images=photos"],
            "boxes/mine",
        ),
    ],
)
def test_the_title_names_the_dataset(keys: list[str], name: str) -> None:
    config = configuration("model=efficientnet_lite0", *keys)
    settings = _settings(config, SimpleNamespace(name="net"))  # type: ignore[arg-type]
    assert title_parts(settings)["dataset"] == name
