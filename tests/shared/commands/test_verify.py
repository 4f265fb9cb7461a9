"""``assay verify`` on what forge exports, left alone and tampered with."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.cli import run
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.signed_list import write_signed
from shared.provenance.types import COMPOSITE_WITH_MODEL, Action
from shared.storage import sha256_file
from shared.video.images import encode_png


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """Signs as somebody else while the block runs."""

    def become(work) -> None:
        with monkeypatch.context() as patch:
            patch.setenv("ASSAY_HOME", str(tmp_path / "stranger"))
            work()

    return become


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "swapped"
    for place in ("frames", "masks/alpha"):
        (folder / place).mkdir(parents=True)
        for index in range(3):
            picture = np.full((8, 8, 3), 10 * index, np.uint8)
            (folder / place / f"{index}.png").write_bytes(encode_png(picture))
    _list(folder)
    return folder


def _list(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*.png"))}
    write_signed(folder / "frames.json", {"clip": {"id": "frames/x/one"}}, files)


def _verified(capsys, *paths: Path) -> tuple[int, str, dict]:
    capsys.readouterr()
    code = run(["--json", "verify", *(str(path) for path in paths)])
    said = capsys.readouterr()
    text = said.out
    return code, said.err, json.loads(text[text.index("{\n") :])


def test_what_was_left_alone_is_sound_and_says_by_whom(frames, capsys):
    assert run(["verify", str(frames)]) == 0
    assert "whom you know" in " ".join(capsys.readouterr().out.split())
    code, _, found = _verified(capsys, frames)
    assert (code, found["sound"]) == (0, True)
    assert set(found["checked"][0]["files"].values()) == {"unchanged"}
    assert len(found["checked"][0]["files"]) == 6


def _plant_record(folder: Path) -> None:
    (folder / "frames" / "1.json").write_text("{}")


def _plant_landmarks(folder: Path) -> None:
    (folder / "frames" / "1.landmarks.parquet").write_bytes(b"x")


def _change(folder: Path) -> None:
    (folder / "frames" / "1.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))


def _remove(folder: Path) -> None:
    (folder / "frames" / "1.png").unlink()


def _link(folder: Path) -> None:
    kept = (folder / "frames" / "1.png").rename(folder / "frames" / "kept.png")
    (folder / "frames" / "1.png").symlink_to(kept.name)


def _link_folder(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder / "more").symlink_to(folder.parent / "elsewhere", target_is_directory=True)


@pytest.mark.parametrize(
    ("tamper", "name", "state"),
    [
        (_plant_record, "frames/1.json", "not listed"),
        (_plant_landmarks, "frames/1.landmarks.parquet", "not listed"),
        (_change, "frames/1.png", "changed"),
        (_remove, "frames/1.png", "missing"),
        (_link, "frames/1.png", "changed"),
        (_link_folder, "more", "not listed"),
    ],
)
def test_tampering_is_named_with_its_file(frames, capsys, tamper, name, state):
    tamper(frames)
    code, said, found = _verified(capsys, frames)
    assert code == 1
    assert found["checked"][0]["files"][name] == state
    assert f"{name} is {state}" in " ".join(said.split())


def test_a_list_that_a_stranger_wrote_anew_is_of_an_unknown_signer(frames, stranger, capsys):
    _change(frames)
    stranger(lambda: _list(frames))
    code, said, found = _verified(capsys, frames)
    assert code == 1
    assert set(found["checked"][0]["files"].values()) == {"unchanged"}
    assert "unknown signer" in said
    fingerprint = found["checked"][0]["lists"]["frames.json"]["fingerprint"]
    assert run(["dataset", "identity", "--trust", fingerprint]) == 0
    assert _verified(capsys, frames)[0] == 0
    assert run(["dataset", "identity", "--distrust", fingerprint]) == 0


def test_a_second_list_does_not_make_planted_files_belong(frames, stranger, capsys):
    (frames / "frames" / "planted.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    planted = {"frames/planted.png": sha256_file(frames / "frames" / "planted.png")}
    stranger(lambda: write_signed(frames / "more.json", {}, planted))
    code, said, _ = _verified(capsys, frames)
    assert code == 1
    assert "more.json is signed by an unknown signer" in " ".join(said.split())


def test_a_list_of_the_same_signer_from_elsewhere_excuses_no_change(frames, capsys):
    _change(frames)
    changed = {"frames/1.png": sha256_file(frames / "frames" / "1.png")}
    for name in ("a.json", "z.json"):
        write_signed(frames / name, {}, changed)
    code, said, found = _verified(capsys, frames)
    assert code == 1
    assert found["checked"][0]["files"]["frames/1.png"] == "changed"
    assert "frames/1.png is changed" in " ".join(said.split())


def test_a_list_whose_text_was_changed_does_not_fit_its_signature(frames, capsys):
    path = frames / "frames.json"
    path.write_text(path.read_text().replace("frames/x/one", "frames/x/two"))
    assert run(["verify", str(frames)]) == 1
    assert "does not fit what it signs" in " ".join(capsys.readouterr().err.split())


def _gif(path: Path) -> Path:
    pictures = [Image.fromarray(np.full((8, 8, 3), 90 * index, np.uint8)) for index in range(3)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    sign_clip(
        path,
        SigningIdentity.load_or_create(),
        title=path.name,
        actions=[Action("c2pa.edited", "a preview")],
        ingredient=None,
        digital_source_type=COMPOSITE_WITH_MODEL,
        record={},
    )
    return path


def test_a_preview_is_checked_by_the_signature_inside(tmp_path, stranger, capsys):
    path = _gif(tmp_path / "one.gif")
    assert _verified(capsys, path)[0] == 0
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    (tmp_path / "changed.gif").write_bytes(data)
    code, said, _ = _verified(capsys, tmp_path / "changed.gif")
    assert code == 1
    assert "not as it was signed" in said
    stranger(lambda: _gif(tmp_path / "theirs.gif"))
    code, said, _ = _verified(capsys, path, tmp_path / "theirs.gif")
    assert code == 1
    assert "unknown signer" in said
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.gif")
    assert _verified(capsys, tmp_path / "plain.gif")[:1] == (1,)


@pytest.mark.parametrize(
    ("make", "code", "told"),
    [
        (lambda path: path.mkdir(), 1, "holds no signed list"),
        (lambda path: None, 1, "does not exist"),
        (lambda path: (path.mkdir(), (path / "dataset.toml").touch()), 2, "is a dataset"),
        (lambda path: (path.mkdir(), (path / "frames.json").write_text("[" * 99)), 1, "frames.json is damaged"),
        (lambda path: os.mkfifo(path), 1, "is not a regular file"),
    ],
)
def test_what_cannot_be_checked_is_named(tmp_path, capsys, make, code, told):
    make(tmp_path / "thing")
    assert run(["verify", str(tmp_path / "thing")]) == code
    assert told in " ".join(capsys.readouterr().err.split())
