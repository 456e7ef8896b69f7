"""Samples of a shard as they were written: bytes of a photo and its record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

import fsspec
from webdataset.tariterators import group_by_keys, tar_file_expander

from data_prep.shards.lanes import EpochPlan, Segment


@dataclass(frozen=True)
class Sample:
    """A photo's file as bytes, what is known of it (the content of its .json), where it stood."""

    file: str
    place: int
    image: bytes
    record: dict[str, Any]


@dataclass(frozen=True)
class Lost:
    """A sample that cannot be used: where it stood, and why."""

    file: str
    place: int
    reason: str


def read_lane(
    plan: EpochPlan, files: list[str], lane: int, first: int = 0
) -> Iterator[Sample | Lost]:
    """Read a lane from its sample number `first` on, each block in its shuffled order.

    Parameters
    ----------
    plan : EpochPlan
    files : list of str
        Path or URL of each shard.
    lane, first : int

    Yields
    ------
    Sample or Lost
        One for every sample of the plan, also for those that are gone.
    """
    samples: Iterator[Sample | Lost] | None = None
    for start, order in plan.blocks(lane, first):
        if samples is None:
            samples = _consecutive(plan, files, lane, start)
        block = list(islice(samples, len(order)))
        for place in order[max(first - start, 0) :]:
            yield block[place]


def _consecutive(
    plan: EpochPlan, files: list[str], lane: int, first: int
) -> Iterator[Sample | Lost]:
    for segment in plan.segments(lane, first):
        yield from read_segment(files[segment.shard], segment)


def read_segment(file: str, segment: Segment) -> Iterator[Sample | Lost]:
    """Read consecutive samples of a shard; exactly `stop - start` items.

    What is damaged or missing costs its own samples only.
    """
    place = segment.start
    reason = "the shard has fewer samples than its index says"
    errors: list[Exception] = []

    def note(error: Exception) -> bool:
        errors.append(error)
        return True

    with ExitStack() as stack:
        try:
            stream = stack.enter_context(fsspec.open(file, "rb").open())
        except Exception as error:  # file systems of URLs have errors of their own
            reason = f"the shard cannot be opened ({_in_words(error)})"
        else:
            members = tar_file_expander([{"url": file, "stream": stream}], note)
            for grouped in islice(
                group_by_keys(members, handler=note), segment.start, segment.stop
            ):
                yield _sample(file, place, grouped)
                place += 1
            if errors:
                reason = f"the shard is damaged ({_in_words(errors[-1])})"
    for missing in range(place, segment.stop):
        yield Lost(file, missing, reason)


def _sample(file: str, place: int, grouped: dict[str, Any]) -> Sample | Lost:
    for part in ("jpg", "json"):
        if part not in grouped:
            return Lost(file, place, f"the sample has no .{part}")
    try:
        record = json.loads(grouped["json"])
    except ValueError:
        record = None
    if not isinstance(record, dict):
        return Lost(file, place, "its .json is damaged")
    return Sample(file, place, grouped["jpg"], record)


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error.args[0]).split(" @ ")[0] if error.args else type(error).__name__
