from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import MediaError
from shared.marking import files


def _refused(_path: Path, **_settings: object) -> None:
    raise MediaError("the sound cannot be decoded")


def test_damaged_sound_does_not_hide_the_mark_of_the_picture(make_clip, monkeypatch):
    monkeypatch.setattr(files, "has_sound", lambda _path: True)
    monkeypatch.setattr(files, "decode_sound", _refused)
    found = files.read_marks(make_clip())
    assert found.picture is not None
    assert found.sound is None


def test_a_file_without_a_readable_layer_is_refused(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"no clip")
    with pytest.raises(MediaError, match=r"clip\.mp4"):
        files.read_marks(tmp_path / "clip.mp4")
