"""Text files in blocks of whole lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from data_prep.crawl.files import COMPRESSIONS, open_file, suffix
from data_prep.crawl.source import damage

PIECE = 1 << 16  # bytes read at a time; before damage all whole pieces are delivered
LONGEST_LINE = 64 << 20  # bytes; more without a line end is no text
BOM = b"\xef\xbb\xbf"


def line_blocks(file: str, size: int) -> Iterator[bytes]:
    r"""Give a text file, decompressed, in blocks of about `size` bytes that end with `\n`.

    A byte order mark is left out; the last line gets its `\n` where it has none. What precedes
    damage is given before the error.

    Raises
    ------
    OSError, pyarrow.ArrowInvalid
        The compressed data are damaged, or what is there is no UTF-8 text of lines.
    """
    block = bytearray()
    searched = 0
    with _open(file) as stream:
        try:
            for piece in _pieces(stream):
                block += piece
                if len(block) < size:
                    continue
                end = block.rfind(b"\n", searched) + 1
                searched = 0 if end else len(block)
                if end:
                    yield bytes(block[:end])
                    del block[:end]
                elif len(block) > LONGEST_LINE:
                    raise pa.ArrowInvalid(f"a line of more than {LONGEST_LINE >> 20} MiB")
        except (pa.ArrowException, OSError):
            end = block.rfind(b"\n") + 1
            if end:
                yield bytes(block[:end])
            raise
    if block:
        yield bytes(block if block.endswith(b"\n") else block + b"\n")


def blocks_until_damage(file: str, size: int) -> Iterator[tuple[bytes | None, str | None]]:
    """Give (block, None) for each block of `line_blocks`, and last (None, damage or None)."""
    try:
        for block in line_blocks(file, size):
            yield block, None
    except (pa.ArrowException, OSError) as error:
        yield None, f"unreadable from here on: {damage(error, file)}"
    else:
        yield None, None


def _pieces(stream: pa.NativeFile) -> Iterator[bytes]:
    first = stream.read(PIECE)
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise pa.ArrowInvalid("UTF-16; save it as UTF-8")
    yield first.removeprefix(BOM)
    while piece := stream.read(PIECE):
        yield piece


@contextmanager
def _open(file: str) -> Iterator[pa.NativeFile]:
    compression = COMPRESSIONS.get(suffix(file))
    with open_file(file) as raw, pa.input_stream(raw, compression=compression) as stream:
        yield stream
