"""One swapped video outside any dataset: marked, signed, refused where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from forge.swapping.deliverable import is_deliverable, swap_to_file
from shared.errors import UsageError
from shared.marking.files import picture_binding
from shared.marking.payload import Payload
from shared.provenance.read import read_provenance


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_file_is_signed_and_its_record_names_its_mark(suffix, target, swapper, config, tmp_path):
    out = tmp_path / "new" / f"swapped{suffix}"
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


def test_a_name_with_the_suffix_of_a_video_is_a_file_unless_a_folder_has_it(tmp_path: Path):
    (tmp_path / "set.mp4").mkdir()
    assert is_deliverable(tmp_path / "one.MP4")
    assert not is_deliverable(tmp_path / "set.mp4")
    assert not is_deliverable(tmp_path / "set")
