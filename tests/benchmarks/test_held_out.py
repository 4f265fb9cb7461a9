from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import held_out
from benchmarks.held_out import excerpt, pair_up
from shared.errors import UsageError
from shared.storage import sha256_file
from shared.video import VideoReader
from tests.factories import write_clip

BASE = Fraction(1, 25)


@pytest.fixture
def clip(tmp_path) -> Path:
    """50 frames, brighter and brighter."""
    return write_clip(tmp_path / "clip.mp4", (np.full((64, 64, 3), 20 + 4 * frame, np.uint8) for frame in range(50)))


def _levels(path: Path) -> list[tuple[int, float]]:
    with VideoReader(path) as reader:
        return [(round((float(frame.image.mean()) - 20) / 4), frame.time.seconds) for frame in reader]


def test_all_of_the_last_fifth(clip, tmp_path):
    found = _levels(excerpt(clip, tmp_path / "x" / "out.mp4"))
    assert [index for index, _seconds in found] == list(range(40, 50))
    assert found[-1][1] == pytest.approx(9 / 25)


def test_a_few_of_it_evenly_spaced_with_their_own_distances_in_time(clip, tmp_path):
    out = excerpt(clip, tmp_path / "out.mp4", frames=4)
    assert _levels(out) == [
        (40, 0.0),
        (43, pytest.approx(3 / 25)),
        (46, pytest.approx(6 / 25)),
        (49, pytest.approx(9 / 25)),
    ]
    written = out.stat().st_mtime_ns
    assert excerpt(clip, out, frames=4).stat().st_mtime_ns == written


def _facesets(monkeypatch: pytest.MonkeyPatch, sources: dict[str, tuple[str, list[str]]]) -> None:
    def opened(path: Path) -> SimpleNamespace:
        identity, hashes = sources[path.name]
        clips = [SimpleNamespace(sha256=digest) for digest in hashes]
        return SimpleNamespace(info=SimpleNamespace(identity=identity, clips=clips))

    monkeypatch.setattr(held_out.Faceset, "open", staticmethod(opened))


def test_clips_find_their_facesets_by_their_bytes(tmp_path, monkeypatch):
    one, other = tmp_path / "1.mp4", tmp_path / "2.mp4"
    one.write_bytes(b"one")
    other.write_bytes(b"other")
    a, b = sha256_file(one), sha256_file(other)
    _facesets(
        monkeypatch, {"ann": ("ann", [a]), "bob": ("bob", ["0" * 64, b]), "ann2": ("ann", [b]), "cat": ("cat", [])}
    )
    paths = [Path("ann"), Path("bob")]
    assert pair_up(paths, [other, one]) == {"ann": (paths[0], one), "bob": (paths[1], other)}
    with pytest.raises(UsageError, match="none of the clips"):
        pair_up([Path("cat")], [one])
    with pytest.raises(UsageError, match="two facesets"):
        pair_up([Path("ann"), Path("ann2")], [one, other])
    with pytest.raises(UsageError, match=r"from 2\.mp4"):
        pair_up([Path("ann")], [one, other])
