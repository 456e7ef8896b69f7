"""What the stages on photos share."""

from pathlib import Path

import pytest

from pipeline.photo_maps import tell_rest


def test_no_time_at_all_has_a_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"published_source": "a paper", "absent": ["axe"], "seconds": 0.0, "processes": 2}
    tell_rest(metrics, 3, [], tmp_path, "report: there")
    assert capsys.readouterr().out.splitlines() == [
        "as published: a paper",
        "not asked, since the model does not know them: axe",
        "6000.00 photos/s; report: there",
    ]
