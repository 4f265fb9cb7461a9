"""Mutations by a seed, how runs are judged, and a few cases through the commands."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest

from benchmarks import fuzz
from benchmarks.mutations import BOXES, BYTES, boxes, changed_value, mutated
from benchmarks.sandbox import TRACEBACK, Ended


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


MP4 = box(b"ftyp", b"isom0000") + box(b"moov", box(b"mvhd", bytes(range(100))) + box(b"trak", box(b"tkhd", bytes(40))))


def test_boxes_are_found_at_every_depth():
    assert [kind for _, _, kind in boxes(MP4)] == [b"ftyp", b"moov", b"mvhd", b"trak", b"tkhd"]


@pytest.mark.parametrize("mutation", [*BYTES, *BOXES])
def test_a_mutation_depends_on_its_seed_alone_and_takes_any_bytes(mutation):
    for data in (MP4, b"", b"x", MP4[:20]):
        found = [mutation(data, np.random.default_rng(seed)) for seed in (1, 1, 2)]
        assert found[0] == found[1]
    assert any(mutation(MP4, np.random.default_rng(seed)) != MP4 for seed in range(8))


def test_names_say_what_was_done():
    name, data = mutated(MP4, np.random.default_rng(3), mp4=True)
    assert data != MP4
    assert set(name.split("+")) <= {each.__name__ for each in (*BYTES, *BOXES)}


def test_one_value_of_a_document_is_changed():
    places = set()
    for seed in range(40):
        document = {"a": {"b": [1, 2]}, "c": "x"}
        place, changed = changed_value(document, np.random.default_rng(seed))
        places.add(place)
        assert changed != {"a": {"b": [1, 2]}, "c": "x"} or place
    assert {"a", "a.b", "a.b.0", "a.b.1", "c"} == places


@pytest.mark.parametrize(
    ("ended", "verdict"),
    [
        (Ended(0, False, False, 1, 1, 700), "done"),
        (Ended(1, False, False, 1, 1, 700, said="error: a.mp4 is empty"), "sentence"),
        (Ended(2, False, False, 1, 1, 700, said="Usage: ... Error ..."), "sentence"),
        (Ended(1, False, False, 1, 1, 700), "wordless"),
        (Ended(3, False, False, 1, 1, 700, said="error: x"), "wordless"),
        (Ended(TRACEBACK, False, False, 1, 1, 700, said="ValueError: x"), "traceback"),
        (Ended(1, False, False, 1, 1, 700, said="Traceback (most recent call last)\nerror: x"), "traceback"),
        (Ended(-11, False, False, 1, 1, 700), "crash"),
        (Ended(-9, True, False, 9, 9, 700), "hang"),
        (Ended(0, False, False, 1, 1, 1700), "memory"),
        (Ended(0, False, False, 1, 1, 700, (("connection", "to x"),)), "connection"),
        (Ended(1, False, False, 1, 1, 700, (("outside", "read x"),), "error: x"), "outside"),
    ],
)
def test_how_a_run_is_judged(ended: Ended, verdict: str):
    assert fuzz.verdict_of(ended)[0] == verdict


def test_a_traceback_is_named_by_the_innermost_line_of_the_project():
    said = (
        'Traceback (most recent call last):\n  File "/x/shared/cli.py", line 3, in run\n    a()\n'
        '  File "/x/shared/video/reader.py", line 12, in frames\n    b()\n  File "/usr/av/x.py", line 1, in c\n'
        "ValueError: why\n"
    )
    verdict, where = fuzz.verdict_of(Ended(TRACEBACK, False, False, 1, 1, 700, said=said))
    assert (verdict, where) == ("traceback", "shared/video/reader.py:12 frames: ValueError: why")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks and watches as Linux does")
def test_cases_end_in_a_sentence_and_are_counted():
    outcomes = fuzz.run(6, seed=1)
    assert [outcome.number for outcome in outcomes] == list(range(6))
    assert fuzz.gathered(outcomes) == {}
    assert fuzz.measurements(outcomes)[0].note == "of 6"
