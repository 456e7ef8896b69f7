"""What a person sees of a training run."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding.training.checkpoint import Progress
from pipeline import reporting

MEASURED = {"map_macro": 0.25, "map_micro": 0.5, "precision_at_1": 0.75, "precision_at_5": 0.125}


def test_the_rate_is_that_of_the_training_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Two looks at 320 photos in 8 seconds; then 100 seconds of evaluation."""
    now = [1000.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    reporter = reporting.TrainReporter(tmp_path, epochs=4, steps=20)
    with reporter.shown(Progress()):
        for epoch in range(2):
            for look in (10, 20):
                now[0] += 4
                reporter.steps(Progress(epoch, look), 10, 0.5, 0.1, 160)
            now[0] += 100
            reporter.epoch({"epoch": epoch + 1, "loss": 0.5} | (MEASURED if epoch else {}))
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1/4: loss 0.5000, 40 images/s",
        "epoch 2/4: loss 0.5000, mAP 0.2500, micro 0.5000, P@5 0.1250, 40 images/s",
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("measured", [(), (2,), (1, 2, 3)])
def test_curves(tmp_path: Path, measured: tuple[int, ...]) -> None:
    """Of some epochs with and some without a measurement; both halves show something."""
    history = [{"epoch": n, "loss": 4 / n} | (MEASURED if n in measured else {}) for n in (1, 2, 3)]
    reporting.draw_curves(history, tmp_path / "curves.png")
    pixels = np.asarray(Image.open(tmp_path / "curves.png").convert("L"))
    for half in np.array_split(pixels[60:400, 100:-20], 2, axis=1):
        assert 0 < (half < 200).mean() < 0.2
