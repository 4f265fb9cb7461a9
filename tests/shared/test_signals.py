from __future__ import annotations

import os
import signal
import threading

import pytest

from shared.signals import signals_noted


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
