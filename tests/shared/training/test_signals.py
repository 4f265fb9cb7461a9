from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from shared.training import signals
from shared.training.signals import signals_noted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_is_noted_and_a_second_acts(number: int):
    acted: list[int] = []
    before = signal.signal(number, lambda caught, _frame: acted.append(caught))
    try:
        with signals_noted() as noted:
            assert not noted
            os.kill(os.getpid(), number)
            assert noted == [number]
            assert acted == []
            os.kill(os.getpid(), number)
            assert acted == [number]
        os.kill(os.getpid(), number)
        assert acted == [number, number]
    finally:
        signal.signal(number, before)


def test_a_launchers_echo_is_the_same_signal_and_a_later_one_acts(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: now[0]))
    acted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda caught, _frame: acted.append(caught))
    try:
        with signals_noted(echo_seconds=0.2) as noted:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGINT)
            assert (noted, acted) == ([signal.SIGINT], [])
            now[0] += 0.25
            os.kill(os.getpid(), signal.SIGINT)
            assert (noted, acted) == ([signal.SIGINT], [signal.SIGINT])
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_are_put_back_after_an_error():
    before = signal.getsignal(signal.SIGINT)

    def fail() -> None:
        with signals_noted():
            assert signal.getsignal(signal.SIGINT) is not before
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert signal.getsignal(signal.SIGINT) is before


def test_off_the_main_thread_nothing_changes():
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with signals_noted() as noted:
            seen.append((list(noted), signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [([], True)]
