"""Reading in a child process: the same frames, limits, and what a compromised decoder can reach."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.errors import MediaError
from shared.types import VideoInfo
from shared.video import VideoReader, child
from shared.video.child import Child, ChildError, ChildLimits, ChildReader, NoChild
from shared.video.images import encode_png, is_still, picture_info
from shared.video.reader import with_counts
from tests.factories import write_clip

FRAMES = 12
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    images = np.random.default_rng(1).integers(0, 255, (FRAMES, 48, 64, 3), np.uint8)
    return write_clip(tmp_path / "clip.mp4", images)


@pytest.fixture
def taken_over(monkeypatch):
    """Replaces the child's program by one in which ``probe`` does something else first."""

    def be(body: str) -> None:
        boot = f"""
import sys
sys.path[:] = sys.argv[1:]
from shared.video import child_process, reader
from shared.errors import MediaError
import json, os, socket, time
send = child_process.Pipe.send
def probe(path):
    {body.replace(chr(10), chr(10) + "    ")}
reader.probe = probe
child_process.serve()
"""
        monkeypatch.setattr(child, "_BOOT", boot)

    return be


def test_the_frames_are_those_that_this_process_reads(clip):
    with Child(clip) as source, VideoReader(clip) as ours:
        theirs = source.reader()
        assert theirs.info == ours.info
        assert with_counts(theirs) == with_counts(ours)
        assert with_counts(theirs).frames_counted == FRAMES
        pairs = list(zip(theirs.frames(start=1, stop=9, step=3), ours.frames(start=1, stop=9, step=3), strict=True))
        assert [one.index for one, _ in pairs] == [1, 4, 7]
        assert all(one.time == other.time and np.array_equal(one.image, other.image) for one, other in pairs)
        assert theirs.frames_decoded == ours.frames_decoded
        picks = list(zip(theirs.picked({7, 0, 3, 40}), ours.picked({7, 0, 3, 40}), strict=True))
        assert [one.index for one, _ in picks] == [0, 3, 7]
        assert all(one.time == other.time and np.array_equal(one.image, other.image) for one, other in picks)
        assert list(theirs.picked(())) == []
        assert theirs.stopped is None


def test_modules_that_no_folder_of_the_path_holds_can_be_read(clip):
    """As in an editable install: an import hook knows where the packages are, and no folder of the path does."""
    hook = f"""
import sys, types
from importlib.machinery import PathFinder
def find(name, path=None, target=None):
    return PathFinder.find_spec(name, [{str(ROOT)!r}]) if name in ("shared", "detect") else None
sys.meta_path.insert(0, types.SimpleNamespace(find_spec=find))
"""
    boot = f"import sys; sys.path[:] = sys.argv[1:]{hook}from shared.video.child_process import serve; serve()"
    code = f"""{hook}
sys.path[:] = [entry for entry in sys.path if entry not in ("", {str(ROOT)!r})]
from pathlib import Path
from shared.video import child
from shared.video.images import is_still
child._BOOT = {boot!r}
with child.Child(Path({str(clip)!r})) as source:
    print(source.call(is_still))
"""
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "False"


def test_a_pass_that_is_left_early_ends_its_child_and_the_next_gets_another(clip):
    with Child(clip) as source:
        reader = source.reader()
        assert next(iter(reader.frames())).index == 0
        assert [frame.index for frame in reader.frames(step=6)] == [0, 6]
        side_by_side = zip(reader.frames(), source.reader().frames(), strict=True)
        assert sum(np.array_equal(one.image, other.image) for one, other in side_by_side) == FRAMES


def test_a_picture_is_a_clip_of_one_frame(tmp_path):
    image = np.random.default_rng(2).integers(0, 255, (40, 56, 3), np.uint8)
    path = tmp_path / "really-a-picture.mp4"
    path.write_bytes(encode_png(image))
    with Child(path) as source:
        assert source.call(is_still)
        assert isinstance(source.call(picture_info), VideoInfo)
        (frame,) = source.reader(still=True).frames(step=5)
        (same,) = source.reader(still=True).picked({0, 2})
    assert np.array_equal(same.image, image)
    assert list(NoChild(path).reader(still=True).picked({2})) == []
    assert np.array_equal(frame.image, image)
    (frame,) = NoChild(path).reader(still=True).frames(step=5)
    assert np.array_equal(frame.image, image)


def test_what_the_child_refuses_is_said_in_the_same_words(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(MediaError) as here:
        VideoReader(path)
    with Child(path) as source, pytest.raises(MediaError) as there:
        source.reader()
    assert (str(there.value), there.value.hint) == (str(here.value), here.value.hint)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems lack some of the limits")
def test_a_decoder_that_was_taken_over_has_no_network_no_other_file_and_no_environment(
    clip, taken_over, monkeypatch, tmp_path
):
    monkeypatch.setenv("ASSAY_SECRET", "key")
    taken_over("""
def works(what):
    try:
        what()
        return True
    except OSError:
        return False
def write():
    with open(path.with_name("out.txt"), "w") as file:
        file.write("x")
port = int(path.stem.partition("-")[2])
reached = {
    "network": works(lambda: socket.create_connection(("127.0.0.1", port), 2).close()),
    "write": works(write),
    "key": works(lambda: open(path.with_name("key.pem"), "rb").close()),
    "truncate": works(lambda: open(path.with_name("key.pem"), "r+b").close()),
    "link": works(lambda: os.symlink(path, path.with_name("link"))),
    "secret": "ASSAY_SECRET" in os.environ,
    "home": "HOME" in os.environ,
}
raise MediaError(json.dumps(reached))
""")
    (tmp_path / "key.pem").write_text("key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        named = clip.rename(tmp_path / f"clip-{server.getsockname()[1]}.mp4")
        with Child(named) as source, pytest.raises(MediaError) as found:
            ChildReader(source)
    reached = json.loads(str(found.value))
    if "other files" in source.missing:  # a kernel without Landlock
        reached = {name: reached[name] for name in ("network", "secret", "home")}
    if "network" in source.missing:
        del reached["network"]
    assert not any(reached.values()), reached


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("os._exit(7)", "ended with status 7"),
        ("raise ZeroDivisionError('by hand')", "failed (ZeroDivisionError: by hand)"),
        ("os.write(3, b'\\xff' * 64); time.sleep(600)", "sent an invalid message"),
        ("class Odd: pass\nreturn [1, 2]", "sent an invalid value"),
        (
            "import gc\nwhile True:\n  for one in gc.get_objects():\n    if isinstance(one, child_process.Pipe):\n"
            "      one.send('count')",
            "does not do what it is asked",
        ),
        ("os.close(1); os.close(2); os.kill(os.getpid(), 9)", "was killed, as the system does"),
    ],
)
def test_a_child_that_fails_is_one_sentence(clip, taken_over, body, cause):
    taken_over(body if "os.write" not in body else "import gc\n" + _GARBAGE)
    with Child(clip) as source, pytest.raises(ChildError) as found:
        source.reader()
    assert cause in str(found.value)
    assert str(found.value).startswith(f"{clip} could not be read: the decoder ")


_GARBAGE = """
pipe = next(one for one in gc.get_objects() if isinstance(one, child_process.Pipe))
pipe._out.write(b"\\xff" * 64)
pipe._out.flush()
time.sleep(600)
"""


def test_processor_time_is_limited_whatever_the_clock_says(clip, taken_over):
    taken_over("while True: pass")
    limits = replace(ChildLimits(), cpu_seconds=1, cpu_seconds_per_mb=0, silence_seconds=600)
    with Child(clip, limits) as source, pytest.raises(ChildError, match="more than its 1 s of processor time"):
        source.reader()


def test_a_process_that_cannot_be_started_is_said(clip: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(MediaError, match="/nowhere/python does not start"):
        Child(clip).reader()


def test_a_name_that_is_not_utf8_is_read_and_refused_like_any_other(clip: Path):
    odd = clip.with_name("clip-\udcff.mp4")
    odd.write_bytes(clip.read_bytes())
    with Child(odd) as source:
        assert len(list(source.reader().frames())) == FRAMES
    odd.write_bytes(b"no video")
    with Child(odd) as source, pytest.raises(MediaError, match="is not a video"):
        source.reader()


def test_a_decoder_that_idles_between_messages_is_ended(clip, monkeypatch):
    boot = """
import sys
sys.path[:] = sys.argv[1:]
import time
from shared.video import child_process
times = child_process.times
def idle(pipe, path):
    times(pipe, path)
    while True:
        time.sleep(0.2)
        pipe.send("count", child_process.Count())
child_process.times = idle
child_process.serve()
"""
    monkeypatch.setattr(child, "_BOOT", boot)
    monkeypatch.setattr(child, "_WAIT_FACTOR", 0.05)
    with Child(clip, ChildLimits(cpu_seconds=60.0)) as source:
        reader = source.reader()
        assert len(list(reader.times())) == FRAMES
        assert reader.stopped is not None
        assert "kept this process waiting" in reader.stopped


def test_a_value_that_overflows_is_an_invalid_one(clip):
    with pytest.raises(ChildError, match="invalid value"):
        child.decoded(b"1" + b"0" * 400, float, clip)
