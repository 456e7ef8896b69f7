"""Rows that are not valid, found among the others: neither Parquet nor CSV rules them out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from data_prep.crawl.column_types import taken


def valid_or_not(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[int, str]]:
    """Find the rows with text that is not UTF-8, or with another value that its type rules out.

    Returns
    -------
    batch : pyarrow.RecordBatch
        The rows, of which the others can be used.
    reasons : dict of int to str
        What is wrong with a row.

    Raises
    ------
    pyarrow.ArrowIndexError
        A code of a dictionary stands for no word.
    """
    reasons: dict[int, str] = {}
    if _fault(batch) is None:
        return batch, reasons
    # A word of a dictionary spoils the rows that bear it, not the whole batch.
    batch = pa.record_batch([taken(column) for column in batch.columns], batch.schema.names)
    spans = [(0, len(batch))]
    while spans:
        start, end = spans.pop()
        # Not a slice: of lists it would check all elements.
        fault = _fault(batch.take(pa.array(np.arange(start, end))))
        if fault is None:
            continue
        if end - start == 1:
            reasons[start] = fault
        else:
            middle = (start + end) // 2
            spans += [(start, middle), (middle, end)]
    return batch, reasons


def _fault(batch: pa.RecordBatch) -> str | None:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        # In column 3: Invalid: List child array invalid: Invalid: …
        place, _, rest = str(error).partition(": ")
        what = rest.rpartition("Invalid: ")[2]
        if "Invalid UTF8" in what:
            return "invalid UTF-8"
        column = place.rpartition(" ")[2]
        name = batch.schema.names[int(column)] if column.isdecimal() else ""
        return f"column {name!r}: {what}" if name else what
    return None
