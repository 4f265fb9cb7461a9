"""Ctrl-C while the C2PA library runs: what it does is finished, then the interrupt is raised."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import c2pa
import pytest

from shared.provenance.identity import SigningIdentity
from shared.provenance.interrupts import interrupts_held
from shared.provenance.read import read_provenance
from shared.provenance.sign import sign_clip
from shared.provenance.types import CAPTURE, Action


def test_an_interrupt_is_raised_when_the_outermost_block_ends():
    done: list[str] = []

    @interrupts_held()
    def outer() -> None:
        with interrupts_held():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("inner")
        done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        outer()
    assert done == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_block_gives_way_to_the_interrupt():
    @interrupts_held()
    def fails() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("half done")

    with pytest.raises(KeyboardInterrupt) as caught:
        fails()
    assert isinstance(caught.value.__context__, ValueError)


def test_other_threads_and_signals_without_a_handler_are_left_alone():
    seen: list[object] = []

    def work() -> None:
        with interrupts_held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with interrupts_held():
            seen.append(signal.getsignal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.default_int_handler, signal.SIG_DFL]


def test_a_signature_is_finished_before_an_interrupt_is_raised(
    make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    clip = make_clip("clip.mp4")
    stream = c2pa.Stream.__init__

    def interrupted(*arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)  # as the library begins to read and to write
        stream(*arguments)

    monkeypatch.setattr(c2pa.Stream, "__init__", interrupted)
    identity = SigningIdentity.load_or_create()
    words = {"title": "clip", "actions": [Action("c2pa.edited")], "ingredient": None, "record": {}}
    with pytest.raises(KeyboardInterrupt):
        sign_clip(clip, identity, digital_source_type=CAPTURE, **words)
    monkeypatch.undo()
    found = read_provenance(clip)
    assert found is not None
    assert found.valid
