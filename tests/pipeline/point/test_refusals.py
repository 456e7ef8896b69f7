"""What stage=point refuses, each in one line that names the key."""

from pathlib import Path

import pytest

from data_prep.errors import UserError
from tests.pipeline.point.made import QUICK, run


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("tolerance=-1", "tolerance=-1: give a number, 0 or more"),
        ("tolerance=inf", "tolerance=inf: give a finite number, 0 or more"),
        ("tolerance=nan", "tolerance=nan: give a number, 0 or more"),
        ("limit=0", "limit=0: give a whole number"),
        ("examples=none", "examples=none: give a whole number"),
        ("methods=[cmpw]", "methods=cmpw: give some of cmwp"),
        ("classes=sofa", "classes=sofa: give keys and values"),
        ("classes={soda: couch}", "classes.soda: the dataset has no such class"),
        ("classes={sofa: settee}", "classes.sofa=settee: word 'settee' is not in the vocabulary"),
        ("classes={sofa: [couch, settee]}", r"classes.sofa=\['couch', 'settee'\]: give one word"),
        ("classes={sofa: null}", "classes.sofa=None: give one word, as in"),
        ("published={cmwp: 85}", "published.cmwp=85: give All and Difficult"),
        ("published={cmwp: [850, 7]}", "published.cmwp=850: give a number from 0 to 100"),
        ("published={cwmp: [85, 7]}", "published.cwmp: no line of that name; the lines are cmwp"),
        ("dataset.split=tset", "dataset.split=tset: .*no such split list"),
        ("dataset.root=nowhere", "dataset.root=nowhere: there is no such folder"),
        ("dataset=entities", "dataset.kind=entities: give dataset=voc07, voc12, coco or imagenet"),
        ("layers=[layer9]", "no layer 'layer9'"),
        ("layers=[28,27]", "layers: 28 and 27 are both the layer .*; give one of them"),
        ("layers=[1000]", "layers: no layer has a grid near 1000; that of the nearest, "),
    ],
)
def test_refused(given: str, message: str, model: str, root: Path, tmp_path: Path) -> None:
    keys = [model, f"dataset.root={root}", "methods=[cmwp]", *QUICK, given]
    with pytest.raises(UserError, match=message) as refused:
        run(*keys, f"out={tmp_path / 'out'}")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_no_class_in_common(model: str, root: Path, tmp_path: Path) -> None:
    for path in (root / "Annotations").glob("*.xml"):
        (tmp_path / "voc/Annotations").mkdir(parents=True, exist_ok=True)
        text = path.read_text()
        for label in ("dog", "cat", "sofa"):
            text = text.replace(f"<name>{label}<", "<name>person<")
        (tmp_path / "voc/Annotations" / path.name).write_text(text)
    for folder in ("JPEGImages", "ImageSets"):
        (tmp_path / "voc" / folder).symlink_to(root / folder)
    told = (
        r"no class to ask for in 5 photos; not asked: classes that the model does not know \(5\); "
        "0 problems"
    )
    with pytest.raises(UserError, match=told):
        run(model, f"dataset.root={tmp_path / 'voc'}", *QUICK, f"out={tmp_path / 'out'}")
