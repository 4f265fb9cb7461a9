from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.motion import moving_files, speakers, spec_of, train_config
from benchmarks.outside.index import OutsideFile
from shared.errors import UsageError
from shared.types import SPLITS


def test_nobody_is_in_two_splits_and_every_split_can_be_driven(tmp_path: Path):
    clips = [tmp_path / f"s{number}.mpg" for number in range(10)]
    actors = [tmp_path / f"a{number}.mp4" for number in range(6)]
    spec = spec_of(clips, actors, frames=50, corrections=1)
    people = [getattr(spec.splits, split) for split in SPLITS]
    assert [len(names) for names in people] == [8, 3, 5]
    assert len({name for names in people for name in names}) == 16
    assert spec.reenactment[0].config({}).corrections == 1


def test_a_speaker_who_is_in_two_clips_is_taken_once(tmp_path: Path):
    for name in (*(f"s{number}" for number in range(10)), "id2_vcd_swwp2s"):
        (tmp_path / f"{name}.mpg").touch()
    assert [path.stem for path in speakers(tmp_path)] == [f"s{number}" for number in range(10)]
    (tmp_path / "s9.mpg").unlink()
    with pytest.raises(UsageError, match="9 clips of GRID"):
        speakers(tmp_path)


def test_of_others_only_moving_faces_and_the_reals_beside_them_count():
    def file(name: str, kind: str, family: str) -> OutsideFile:
        label = "real" if kind == "real" else "fake"
        return OutsideFile(Path(name), "", label, kind, family, "", "p")  # type: ignore[arg-type]

    files = [
        file("a.mp4", "lip-sync", "Wav2Lip"), file("b.mp4", "real", "Wav2Lip"), file("c.mp4", "real", "inswapper"),
        file("d.mp4", "swap", "inswapper"), file("e.png", "lip-sync", "VideoReTalking"),
    ]  # fmt: skip
    assert [one.path.name for one in moving_files(files)] == ["a.mp4", "b.mp4"]
    assert train_config(frames=50, steps=20, seed=1).family == "motion"
