"""Shards of small coloured photos, as stage=shards writes them, and runs of stage=train on them."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset
from hydra import compose, initialize_config_module
from omegaconf import DictConfig
from PIL import Image

from data_prep.shards.index import Shard, ShardIndex, fingerprint
from pipeline import train

TAGS = ["red", "green", "blue", "bright", "striped", "wide"]
SQUEEZENET = ("model.name=squeezenet1_1", "model.weights=random")
SMALL = ("model.preprocessing={size:64}", "train.workers=0", "device=cpu")


def draw(codes: Sequence[int], number: int) -> Image.Image:
    """Draw a photo of 60 to 150 pixels that shows its tags, on noise of its own."""
    random = np.random.default_rng(number)
    height, width = random.integers(60, 110), random.integers(60, 110)
    if 5 in codes:
        width = width * 14 // 10
    level = 120 if 3 in codes else 40
    pixels = random.integers(0, level, (height, width, 3)).astype(np.int64)
    for code in {0, 1, 2} & set(codes):
        pixels[..., code] += 100
    if 4 in codes:
        pixels[::8] = 255
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def sample(number: int, **changed: Any) -> dict[str, Any]:
    """Give a sample as the shards hold it: two or three tags, and now and then an unknown one."""
    random = np.random.default_rng([7, number])
    codes = sorted(random.choice(len(TAGS), random.integers(2, 4), replace=False).tolist())
    file = io.BytesIO()
    photo = draw(codes, number)
    photo.save(file, "JPEG", quality=90)
    record: dict[str, Any] = {
        "image_id": f"{number:04d}",
        "tags": [TAGS[c] for c in codes],
        "codes": codes,
    }
    if number % 7 == 0:
        record["unknown"] = [c for c in range(len(TAGS)) if c not in codes][:1]
    record |= {"width": photo.width, "height": photo.height}
    return {"jpg": file.getvalue(), "json": record} | changed


def write_shard(path: Path, samples: Sequence[dict[str, Any]]) -> Shard:
    """Write a tar of samples; a record that is bytes is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(path)) as tar:
        for place, one in enumerate(samples):
            record = one.get("json")
            content = {"jpg": one["jpg"]}
            if record is not None:
                content["json"] = (
                    record if isinstance(record, bytes) else json.dumps(record).encode()
                )
            tar.write({"__key__": f"{path.stem}_{place:05d}", **content})
    return Shard(f"{path.parent.name}/{path.name}", len(samples), path.stat().st_size)


def write_shards(folder: Path, train: Sequence[int], val: Sequence[int]) -> Path:
    """Write shards of so many samples each, their vocabulary and index."""
    shards: dict[str, list[Shard]] = {"train": [], "val": []}
    counts = {split: np.zeros(len(TAGS), np.int64) for split in shards}
    number = 0
    folder.mkdir(parents=True, exist_ok=True)
    for split, sizes in {"train": train, "val": val}.items():
        for shard, size in enumerate(sizes):
            samples = [sample(n) for n in range(number, number + size)]
            number += size
            shards[split].append(write_shard(folder / split / f"{shard:06d}.tar", samples))
            for one in samples:
                counts[split][one["json"]["codes"]] += 1
    both = counts["train"] + counts["val"]
    ranks = np.arange(1, len(TAGS) + 1)
    vocabulary = pa.table({"tag": TAGS, "count": both, "rank": ranks, **counts})
    pq.write_table(vocabulary, folder / "vocabulary.parquet")
    split_shards = {split: tuple(some) for split, some in shards.items()}
    ShardIndex(fingerprint(TAGS), len(TAGS), **split_shards).save(folder)
    return folder


def samples_of(folder: Path, split: str) -> list[tuple[Image.Image, dict[str, Any]]]:
    """Read the photos of a split and their records, in the order of the disk."""
    found = []
    for shard in getattr(ShardIndex.load(folder), split):
        with tarfile.open(folder / shard.file) as tar:
            files = {member.name: tar.extractfile(member) for member in tar}
            contents = {name: file.read() for name, file in files.items() if file}
        for key in sorted({Path(name).stem for name in contents}):
            photo = Image.open(io.BytesIO(contents[f"{key}.jpg"])).convert("RGB")
            found.append((photo, json.loads(contents[f"{key}.json"])))
    return found


def configuration(*overrides: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", ["stage=train", *overrides])


def run(*overrides: str) -> None:
    train.run(configuration(*overrides))


def metrics(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def losses(out: Path) -> list[float]:
    return [row["loss"] for row in metrics(out)["history"]]


def weights(out: Path) -> bytes:
    return (out / "model" / "weights.safetensors").read_bytes()
