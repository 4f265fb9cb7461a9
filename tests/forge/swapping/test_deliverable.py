"""One swapped video outside any dataset: marked, signed, refused where it cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from forge.swapping.deliverable import is_deliverable, swap_to_file
from forge.swapping.marks import Finish
from shared.errors import UsageError
from shared.marking.embed import MarkWriter
from shared.marking.files import picture_binding
from shared.marking.payload import Payload
from shared.provenance.read import read_provenance
from shared.video.audio import audio_digest
from tests.factories import write_clip


def _left_by_a_killed_run(out: Path) -> None:
    """The scratch folder of a process that was killed while it made ``out``."""
    code = (
        "import os, sys; from pathlib import Path; from shared.storage import scratch_beside\n"
        "with scratch_beside(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half.mp4').write_bytes(b'half'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(out)], check=False).returncode == 9
    assert len(list(out.parent.iterdir())) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_file_is_signed_and_its_record_names_its_mark(suffix, target, swapper, config, tmp_path):
    out = tmp_path / "new" / f"swapped{suffix}"
    out.parent.mkdir()
    _left_by_a_killed_run(out)
    order = {"swapper": swapper, "source": "ann", "config": config, "rights": "consent", "audio": False}
    record = swap_to_file(target, out, **order)
    algorithm, _, payload = record.factors["mark"].partition(":")
    assert algorithm == "assay.tile.1"
    assert Payload.from_number(int(payload, 16)).kind == "swap"
    signature = read_provenance(out)
    assert signature is not None
    assert signature.record is not None
    assert signature.valid
    assert signature.says_fake
    assert signature.bindings == (picture_binding(Payload.from_number(int(payload, 16))),)
    assert signature.record["mark"] == record.factors["mark"]
    beside = {out.name} if suffix == ".mp4" else {out.name, "swapped.c2pa"}
    assert {path.name for path in out.parent.iterdir()} == beside
    if suffix == ".mp4":
        plain = swap_to_file(target, out, mark=False, **order)  # replaces one of ours
        assert plain.factors["mark"] == "none"
        again = read_provenance(out)
        assert again is not None
        assert again.record is not None
        assert (again.bindings, again.record["mark"]) == ((), "none")


def test_what_is_no_fake_of_ours_is_kept(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "config": config, "rights": "consent"}
    there = tmp_path / "film.mp4"
    there.write_bytes(target.read_bytes())
    with pytest.raises(UsageError, match="no fake made by"):
        swap_to_file(target, there, **order)
    assert there.read_bytes() == target.read_bytes()
    with pytest.raises(UsageError, match="holds no"):
        swap_to_file(target, tmp_path / "film.avi", **order)
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_sound_without_a_mark_or_without_sound_is_refused_before_the_work(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "config": config, "rights": "consent", "mark_sound": True}
    for out_of_it in ({"mark": False}, {"audio": False}):
        with pytest.raises(UsageError, match="only beside the pictures"):
            swap_to_file(target, tmp_path / "out.mp4", **order, **out_of_it)
    assert not list(tmp_path.iterdir())
    silent = write_clip(tmp_path / "silent.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3)
    with pytest.raises(UsageError, match="no sound that could be marked"):
        swap_to_file(silent, tmp_path / "out.mp4", **order)
    assert [path.name for path in tmp_path.iterdir()] == ["silent.mp4"]


def test_the_sound_is_marked_when_that_is_asked_for(target, swapper, config, tmp_path):
    order = {"swapper": swapper, "source": "ann", "config": config, "rights": "consent"}
    finish = Finish(MarkWriter(Payload.of("swap", "ab" * 32)), sound=True)
    with pytest.raises(UsageError, match="no sound to be marked in this part"), finish.finished_sound(None, ".mp4"):
        pass
    record = swap_to_file(target, tmp_path / "out.mp4", mark_sound=True, **order)
    signature = read_provenance(tmp_path / "out.mp4")
    assert signature is not None
    assert [binding.algorithm for binding in signature.bindings] == ["assay.tile.1", "assay.loudness.1"]
    assert record.factors["mark"] == ", ".join(binding.text for binding in signature.bindings)
    assert audio_digest(tmp_path / "out.mp4") not in (None, audio_digest(target))


def test_a_name_with_the_suffix_of_a_video_is_a_file_unless_a_folder_has_it(tmp_path: Path):
    (tmp_path / "set.mp4").mkdir()
    assert is_deliverable(tmp_path / "one.MP4")
    assert not is_deliverable(tmp_path / "set.mp4")
    assert not is_deliverable(tmp_path / "set")
