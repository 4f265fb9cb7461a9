"""Commands that read a video, given what is none: one sentence, a hint, the right code, nothing left behind."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from shared.cli import run
from shared.dataset import DatasetFolder

COMMANDS = ("extract", "add", "inspect")


@pytest.fixture
def bad(tmp_path: Path, make_clip: Callable[..., Path], make_sound: Callable[..., Path]) -> Callable[[str], Path]:
    """Makes the bad file of a kind."""

    def truncated() -> Path:
        path = make_clip("truncated.mp4", ticks=range(40))
        path.write_bytes(path.read_bytes()[:600])
        return path

    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    kinds: dict[str, Callable[[], Path]] = {
        "missing": lambda: tmp_path / "missing.mp4",
        "folder": lambda: tmp_path,
        "empty": lambda: write("empty.mp4", b""),
        "text": lambda: write("text.mp4", b"this is a letter, not a video\n" * 40),
        "noise": lambda: write("noise.mp4", np.random.default_rng(0).bytes(20_000)),
        "truncated": truncated,
        "sound only": lambda: make_sound("sound.m4a"),
    }
    return lambda kind: kinds[kind]()


def words(command: str, path: Path, tmp_path: Path) -> tuple[list[str], Path]:
    """The command line, and the place that must stay as it was."""
    if command == "extract":
        out = tmp_path / "out" / "faces"
        return ["faces", "extract", str(path), "--identity", "ann", "--rights", "consent", "--out", str(out)], out
    if command == "add":
        folder = tmp_path / "set"
        DatasetFolder.init(folder, "set")
        return ["dataset", "add", str(folder), str(path), "--identity", "ann", "--rights", "consent"], folder / "media"
    out = tmp_path / "out" / "case"
    return ["inspect", str(path), "--detector", str(tmp_path / "none"), "--out", str(out)], out


def files_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "noise", "truncated", "sound only"])
def test_what_is_no_video_is_said_in_a_sentence_with_a_hint(command, kind, bad, tmp_path, capsys):
    if (command, kind) == ("inspect", "sound only"):
        pytest.skip("a sound alone is inspected as one")
    path = bad(kind)
    line, place = words(command, path, tmp_path)
    assert run(line) in (1, 2)
    said = capsys.readouterr().err
    assert "error:" in said
    assert "hint:" in said
    assert path.name in said
    assert "Traceback" not in said
    assert files_under(place) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 7)])
def test_a_video_of_one_pixel_is_refused_or_has_no_face(tmp_path, capsys, size):
    path = tmp_path / "dot.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25, width=size[0], height=size[1], pix_fmt="rgb24")
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(np.zeros((size[1], size[0], 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    line, place = words("extract", path, tmp_path)
    assert run(line) == 1
    assert "hint:" in capsys.readouterr().err
    assert files_under(place) == []


def test_a_video_without_a_face_is_counted_and_said(make_clip, tmp_path, capsys):
    path = make_clip("wall.mp4", size=(160, 120))
    line, place = words("extract", path, tmp_path)
    assert run(line) == 1
    said = capsys.readouterr().err
    assert "no face" in said.lower()
    assert "12" in said
    assert files_under(place) == []


def test_a_place_that_cannot_be_written_is_said(make_clip, tmp_path, capsys):
    blocked = tmp_path / "a-file"
    blocked.write_text("in the way")
    path = make_clip("wall.mp4", size=(160, 120))
    line = ["faces", "extract", str(path), "--identity", "ann", "--rights", "consent", "--out", str(blocked / "faces")]
    assert run(line) in (1, 2)
    said = capsys.readouterr().err
    assert "error:" in said
    assert "hint:" in said
    assert blocked.read_text() == "in the way"


def test_a_full_disk_is_said_before_work_starts(make_clip, tmp_path, capsys, monkeypatch):
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**9, 10**9, 100))
    path = make_clip("wall.mp4", size=(160, 120))
    line, place = words("extract", path, tmp_path)
    assert run(line) == 1
    said = capsys.readouterr().err
    assert "free" in said
    assert "hint:" in said
    assert files_under(place) == []


def test_an_unknown_command_is_a_mistake_of_usage(capsys):
    assert run(["forg"]) == 2
    assert "forg" in capsys.readouterr().err


def test_a_missing_option_is_a_mistake_of_usage(capsys, tmp_path):
    assert run(["faces", "extract", str(tmp_path / "clip.mp4")]) == 2
    assert "--" in capsys.readouterr().err


def test_an_unknown_finder_is_refused_with_near_names(make_clip, tmp_path, capsys):
    line, _ = words("extract", make_clip("wall.mp4", size=(160, 120)), tmp_path)
    assert run([*line, "--finder", "dlb"]) == 2
    assert "dlib" in capsys.readouterr().err


def test_ctrl_c_ends_with_130_and_a_word(monkeypatch, capsys, tmp_path):
    from shared.commands import doctor

    def interrupted(*_given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", interrupted)
    assert run(["doctor"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_ctrl_c_while_the_commands_are_loaded_is_no_traceback(monkeypatch, capsys):
    from shared import cli

    def interrupted() -> None:
        raise KeyboardInterrupt

    cli.command_tree.cache_clear()
    monkeypatch.setattr(cli, "build_app", interrupted)
    assert run(["doctor"]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "plain"), [(signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)]
)
def test_a_stop_signal_that_c_code_turns_into_another_error_is_still_an_interrupt(monkeypatch, capsys, number, plain):
    from shared.commands import doctor

    def replaced(*_given: object) -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise ValueError("the shape of an object") from None

    monkeypatch.setattr(doctor, "examine", replaced)
    before = signal.signal(number, plain)
    try:
        assert run(["doctor"]) == 130
        assert signal.getsignal(number) is plain
    finally:
        signal.signal(number, before)
    assert "interrupted" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("assay ")


def test_help_lists_both_halves_and_loads_no_torch():
    import subprocess
    import sys

    code = "import sys; from shared.cli import build_app; build_app(); assert 'torch' not in sys.modules, 'torch'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
