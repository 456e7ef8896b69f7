"""Small folders in the layout of PASCAL VOC."""

from pathlib import Path

OBJECT = """<object><name>{label}</name><difficult>{difficult}</difficult>
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>
</part></object>"""


def voc_object(label: str, *box: float | str, difficult: int = 0) -> str:
    return OBJECT.format(*box, label=label, difficult=difficult)


def annotation(*objects: str, size: str = "<width>50</width><height>40</height>") -> str:
    return f"<annotation><size>{size}</size>{''.join(objects)}</annotation>"


def add(root: Path, image_id: str, xml: str, split: str | None = None) -> None:
    """Write an annotation and an empty photo, and put the id on a list."""
    for folder in ("ImageSets/Main", "Annotations", "JPEGImages"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "Annotations" / f"{image_id}.xml").write_text(xml)
    (root / "JPEGImages" / f"{image_id}.jpg").touch()
    if split is not None:
        with (root / "ImageSets/Main" / f"{split}.txt").open("a") as file:
            file.write(f"{image_id}\n")
