"""What a run does that it must not is seen: connections, files of others, crashes, hangs, memory, tracebacks."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.fuzz import verdict_of
from benchmarks.sandbox import Ended, Job, Sandbox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks and watches as Linux does"),
]


def connect(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)):
        return


def read(path: str) -> None:
    Path(path).read_bytes()


def read_unseen(path: str) -> None:
    """As a library in C does, past Python's audit hook."""
    import ctypes

    ctypes.CDLL(None).open(path.encode(), os.O_RDONLY)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def wait(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def take(megabytes: int) -> None:
    assert sum(bytearray(b"x") * (megabytes << 20)) > 0


def fail() -> None:
    raise ValueError("nobody translated it")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox") / "home") as started:
        yield started


def ended(sandbox: Sandbox, folder: Path, function: str = "", *arguments: object, seconds: float = 20) -> Ended:
    prepare = f"{__name__}:{function}" if function else ""
    words = ("dataset", "show", str(folder / "none"))
    return sandbox.run(Job(words, folder, seconds=seconds, prepare=prepare, prepare_with=arguments))


def test_a_sentence_is_one(sandbox: Sandbox, tmp_path: Path):
    assert verdict_of(ended(sandbox, tmp_path)) == ("sentence", "")


def test_what_a_run_must_not_do_is_seen(sandbox: Sandbox, tmp_path: Path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    place = tmp_path / "own"
    assert verdict_of(ended(sandbox, place, "connect", sandbox.port))[0] == "connection"
    assert verdict_of(ended(sandbox, place, "read", str(tmp_path / "other" / "file")))[0] == "outside"
    assert verdict_of(ended(sandbox, place, "read_unseen", str(sandbox.decoy)))[0] == "outside"
    assert verdict_of(ended(sandbox, place, "crash"))[0] == "crash"
    assert verdict_of(ended(sandbox, place, "wait", 30.0, seconds=1))[0] == "hang"
    assert verdict_of(ended(sandbox, place, "take", 1600))[0] == "memory"
    verdict, where = verdict_of(ended(sandbox, place, "fail"))
    assert (verdict, "nobody translated it" in where) == ("traceback", True)
    assert verdict_of(ended(sandbox, place))[0] == "sentence"
