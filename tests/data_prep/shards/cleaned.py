"""A small run of stage=clean and its photos, for tests."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

TAGS = ["dog", "grass", "ball", "sky"]


def photo(number: int, size: tuple[int, int] = (48, 32), form: str = "JPEG") -> bytes:
    """Give the file of a photo that is like no other."""
    smooth = np.random.default_rng(number).integers(0, 256, (3, 4, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(smooth).resize(size, Image.Resampling.BICUBIC).save(file, form)
    return file.getvalue()


def cleaned_rows(count: int) -> list[dict]:
    """Rows with the ids "0000", "0001" …, two or three tags, and a user for every three."""
    rows = []
    for number in range(count):
        codes = [number % 4, (number + 1) % 4, *([(number + 2) % 4] if number % 5 == 0 else [])]
        tags = [TAGS[code] for code in codes]
        user = f"user {number // 3}"
        rows.append({"image_id": f"{number:04d}", "user_id": user, "tags": tags, "codes": codes})
    return rows


def write_cleaned(folder: Path, rows: list[dict], tags: list[str] = TAGS) -> Path:
    """Write rows and vocabulary as stage=clean does."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    if "codes" in table.column_names:
        place = table.column_names.index("codes")
        codes = table["codes"].cast(pa.list_(pa.int32()))
        table = table.set_column(place, "codes", codes)
    pq.write_table(table, folder / "images.parquet")
    counts = [sum(tag in row["tags"] for row in rows) for tag in tags]
    ranks = list(range(1, len(tags) + 1))
    vocabulary = pa.table({"tag": tags, "count": counts, "rank": ranks})
    pq.write_table(vocabulary, folder / "vocabulary.parquet")
    (folder / "done.json").write_text("{}")
    return folder


def write_photos(folder: Path, rows: list[dict]) -> Path:
    """Write a JPEG for each row."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        (folder / f"{row['image_id']}.jpg").write_bytes(photo(number))
    return folder
