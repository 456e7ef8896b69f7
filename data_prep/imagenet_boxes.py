"""Photos of ImageNet with boxes of their class (ILSVRC, CLS-LOC): XML files like those of VOC."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

from data_prep.annotated import AnnotatedData, AnnotatedPhoto
from data_prep.errors import UserError
from data_prep.phrases import Problem, Unusable, photo_path
from data_prep.voc import VocImage, VocObject, read_annotation
from data_prep.voc_photos import to_photo
from data_prep.vocabulary import IMAGENET_TABLE, Vocabulary


@cache
def labels_by_wnid() -> dict[str, str]:
    """Give the 1000 labels by WordNet id, in the order of an ImageNet classifier's outputs.

    A label is the primary name of its class. Names that two classes share (crane, cardigan,
    maillot) get the id behind them: "crane (n02012849)" is the bird, "crane (n03126707)" the
    machine.
    """
    wnids = [row["wnid"] for row in json.loads(IMAGENET_TABLE.read_text(encoding="utf-8"))]
    names = [names[0] for names in Vocabulary.imagenet().names]
    times = Counter(names)
    return {
        wnid: name if times[name] == 1 else f"{name} ({wnid})"
        for wnid, name in zip(wnids, names, strict=True)
    }


def read_imagenet_boxes(
    annotations: str | Path, images: str | Path, ids: str | Path | None = None
) -> AnnotatedData:
    """Read boxes of ImageNet's classes.

    Parameters
    ----------
    annotations : str or Path
        Folder of XML files, perhaps in folders of their own (ILSVRC/Annotations/CLS-LOC/val).
        Their `<name>` is a WordNet id; boxes are taken as written, in pixels from 0, half-open
        (0 and the full width both occur).
    images : str or Path
        Folder of the photos, ID.JPEG for ID.xml.
    ids : str or Path, optional
        File with an id at the beginning of each line, as in ImageSets/CLS-LOC/val.txt; it may
        have slashes. Without it all XML files are read, in the order of their names.

    Returns
    -------
    AnnotatedData
        `labels` as `labels_by_wnid` has them, so that the place of a label is the output of the
        classifier. Problems: those of `read_voc`, "bad name" (an id that leaves its folder),
        "listed twice", "unknown class" (the object is left out; some dogs bear the name
        Scottish_deerhound, for one), "box outside", "box clipped" and "no object". Classes are
        not asked for the reasons of `read_voc_photos`.

    Raises
    ------
    UserError
        A folder or the list is missing, or there is no id.
    """
    annotations, images = Path(annotations), Path(images)
    for folder, what in ((annotations, "XML files"), (images, "photos")):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; give the folder of the {what}")
    problems: list[Problem] = []
    photos: dict[str, AnnotatedPhoto] = {}
    for name in _ids(annotations, ids):
        try:
            if name in photos:
                raise Unusable(f"{ids}: {name}", "listed twice", "remove one of the lines")
            image = _read_image(annotations, images, name, f"{ids}: {name}", problems)
            photos[name] = to_photo(image, problems)
        except Unusable as unusable:
            problems.append(unusable.problem)
    labels = tuple(labels_by_wnid().values())
    return AnnotatedData(tuple(photos.values()), labels, tuple(problems))


def _ids(annotations: Path, ids: str | Path | None) -> list[str]:
    if ids is None:
        files = sorted(annotations.rglob("*.xml"))
        found = [file.relative_to(annotations).with_suffix("").as_posix() for file in files]
    else:
        try:
            lines = Path(ids).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            reason = f"cannot be read ({error.strerror}); give a file with an id a line"
            raise UserError(f"{ids}: {reason}") from error
        found = [line.split()[0] for line in lines if line.strip()]
    if not found:
        where = annotations if ids is None else ids
        raise UserError(f"{where}: nothing is in it; give a folder of XML files, or a list of ids")
    return found


def _read_image(
    annotations: Path, images: Path, name: str, where: str, problems: list[Problem]
) -> VocImage:
    xml = photo_path(annotations, f"{name}.xml", where)
    photo = photo_path(images, f"{name}.JPEG", where)
    if not photo.is_file():
        raise Unusable(str(photo), "missing", "the file is missing; add it, or take its id off")
    width, height, objects, unreadable = read_annotation(xml, problems)
    known = []
    for item in objects:
        label = labels_by_wnid().get(item.label)
        if label is None:
            reason = f"{item.label!r} is no WordNet id of the 1000 classes; correct the name"
            problems.append(Problem(str(xml), "unknown class", reason))
            continue
        x1, y1, x2, y2 = item.box
        known.append(VocObject(label, (x1 + 1, y1 + 1, x2, y2), item.difficult))
    lost = tuple(labels_by_wnid()[wnid] for wnid in unreadable if wnid in labels_by_wnid())
    return VocImage(name, photo, width, height, tuple(known), lost)
