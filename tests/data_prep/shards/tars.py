"""Small shards for tests: the samples are numbered, their photos are plain."""

import io
import json
from pathlib import Path

import numpy as np
import webdataset
from PIL import Image


def photo(level: int, size: tuple[int, int] = (40, 32)) -> bytes:
    """JPEG of one grey level."""
    file = io.BytesIO()
    Image.new("RGB", size, (level,) * 3).save(file, "JPEG")
    return file.getvalue()


def write_shards(folder: Path, sizes: list[int], tags: int = 3) -> list[str]:
    """Write one tar a size; sample n overall has the image id "n" and the code n % tags."""
    files = []
    number = 0
    for shard, size in enumerate(sizes):
        path = folder / f"{shard:06d}.tar"
        with webdataset.TarWriter(str(path)) as tar:
            for place in range(size):
                record = {"image_id": str(number), "tags": [], "codes": [number % tags]}
                record["tags"] = [f"tag {number % tags}"]
                content = {"jpg": photo(number % 256), "json": json.dumps(record).encode()}
                tar.write({"__key__": f"{shard:06d}_{place:05d}", **content})
                number += 1
        files.append(str(path))
    return files


def random_sizes(seed: int, shards: int, largest: int) -> list[int]:
    """Numbers of samples per shard, 0 to `largest`."""
    sizes: list[int] = np.random.default_rng(seed).integers(0, largest + 1, shards).tolist()
    return sizes
