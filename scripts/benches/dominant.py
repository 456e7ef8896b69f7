"""Dominant objects: error of the box around a thresholded map, by stage=dominant (Table 2).

The keys are those of `scripts/bench pointing`, with keys of stage=dominant in ``stage``.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

from scripts.benches import record
from scripts.benches.pointing import Settings, run_stage

NOTES = """\
`stage=dominant` with these keys. {protocol} Measured on {pairs:,} pairs in {photos:,} photos, \
thresholds tuned on {tuning_pairs:,} others in {tuning_photos:,} photos. \
{processes} process(es), {seconds:,.0f} s of work together."""


def main() -> None:
    settings = record.read_settings(Settings)
    metrics, resumed = run_stage("dominant", settings)
    console, rows = Console(), lines(metrics)
    console.print(record.table(rows), soft_wrap=True, markup=False)
    notes = NOTES.format(**metrics) + resumed
    console.print(f"record: {record.write('dominant', settings, rows, notes)}")


def lines(metrics: dict[str, Any]) -> list[dict[str, object]]:
    """One row for each line and kind of threshold, and for each baseline; errors in per cent."""
    rows: list[dict[str, object]] = []
    for name, numbers in metrics["methods"].items():
        for kind, cut in numbers["thresholds"].items():
            rows.append(
                {
                    "method": name,
                    "target": numbers["target"],
                    "threshold": f"{cut['factor']:g} × {kind}",
                    **_errors(cut),
                    "tuning error": round(100 * cut["tuning_error"], 1),
                    "degenerate": numbers["degenerate"],
                }
            )
    return rows + [{"method": name} | _errors(one) for name, one in metrics["baselines"].items()]


def _errors(measured: dict[str, Any]) -> dict[str, object]:
    low, high = measured["interval"]
    return {
        "error": round(100 * measured["error"], 1),
        "error 95 %": f"{100 * low:.1f}–{100 * high:.1f}",
    }


if __name__ == "__main__":
    main()
