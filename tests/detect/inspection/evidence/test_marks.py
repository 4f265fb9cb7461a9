"""The layers that a report says were looked at for a mark are those that could be read."""

from __future__ import annotations

import numpy as np

from detect.inspection.evidence.marks import layers_read, mark_evidence
from shared.audio.writing import write_channels
from shared.video.child import NoChild
from shared.video.images import encode_png


def test_a_picture_has_no_sound_that_was_looked_at(tmp_path):
    picture = tmp_path / "still.png"
    picture.write_bytes(encode_png(np.random.default_rng(1).integers(0, 256, (96, 96, 3), dtype=np.uint8)))
    evidence = mark_evidence(NoChild(picture))
    assert [each.finding for each in evidence] == ["none was read"]
    assert layers_read(evidence) == ["picture"]


def test_sound_is_named_where_it_was_read_and_nothing_where_nothing_was(tmp_path):
    sound = np.random.default_rng(2).normal(0, 0.1, (16_000, 1)).astype(np.float32)
    write_channels(tmp_path / "sound.wav", sound, 16_000)
    assert layers_read(mark_evidence(NoChild(tmp_path / "sound.wav"))) == ["sound"]
    (tmp_path / "clip.mp4").write_bytes(b"no clip")
    unread = mark_evidence(NoChild(tmp_path / "clip.mp4"))
    assert "could not be read" in unread[0].finding
    assert layers_read(unread) == []
