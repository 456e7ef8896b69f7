"""A wish to stop, and the impatience of another one."""

import signal

import pytest

from pipeline import signals
from pipeline.signals import stop_signals

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [1000.0]
    monkeypatch.setattr(signals.time, "monotonic", lambda: time[0])
    return time


@BOTH
def test_a_signal_is_a_wish(number: int, now: list[float], capfd: pytest.CaptureFixture) -> None:
    """Launchers pass on what the process has got as well: that is the same wish."""
    before = signal.getsignal(number)
    with stop_signals() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()
        now[0] += 0.5
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)
        assert stop()
    assert capfd.readouterr().err == "stopping after this step; once more stops at once\n"
    assert signal.getsignal(number) == before


@BOTH
def test_once_more_stops_at_once(number: int, now: list[float]) -> None:
    before = signal.getsignal(number)
    with stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        now[0] += 1.5
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before
