"""How frames are coded, in clips whose coding is known, because it was made here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from detect.inspection.evidence.coding import CodingFacts, cuts, read_coding
from detect.inspection.evidence.frames import (
    former_coding,
    groups_of_pictures,
    quantiser_steps,
    repeated_frames,
    strongest_period,
)

WIDTH, HEIGHT = 128, 96


def _moving(frames: int, seed: int = 0) -> np.ndarray:
    """(frames, 96, 128, 3): a texture that drifts and flickers a little."""
    rng = np.random.default_rng(seed)
    wide = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH + frames)), (0, 0), 6)
    wide = 128 + 40 * wide / wide.std()
    noisy = np.stack([wide[:, at : at + WIDTH] for at in range(frames)]) + rng.normal(0, 2, (frames, HEIGHT, WIDTH))
    return np.repeat(np.clip(noisy, 0, 255).astype(np.uint8)[..., None], 3, axis=3)


def _encode(path: Path, pictures: np.ndarray, *, gop: int, qp: int = 24, times: list[int] | None = None) -> Path:
    """An H.264 clip with a keyframe every ``gop`` frames, no B frames, one quantiser."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, 25)
        stream.options = {
            "qp": str(qp),
            "preset": "veryfast",
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0",
        }
        for place, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = place if times is None else times[place]
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _joined(path: Path, parts: list[Path]) -> Path:
    """The packets of ``parts`` one after another, without coding them again."""
    with av.open(str(path), "w") as target:
        stream, shift = None, 0
        for part in parts:
            with av.open(str(part)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                last = 0
                for packet in source.demux(video):
                    if packet.pts is None:
                        continue
                    last = max(last, packet.pts + packet.duration)
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    target.mux(packet)
                shift += last
    return path


def _decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("coded")


def test_types_sizes_and_quantisers_of_a_clip_are_those_it_was_coded_with(folder):
    facts = read_coding(_encode(folder / "plain.mp4", _moving(40), gop=10))
    assert facts.types == ("I" + "P" * 9) * 4
    assert all(size for size in facts.sizes)
    assert facts.seconds[:3] == (0.0, 0.04, 0.08)
    assert np.median([each for each in facts.qp if each is not None]) == pytest.approx(24, abs=1.5)
    assert cuts(facts) == []
    found = groups_of_pictures(facts, [])
    assert (found.odd, found.value) == (False, 0.0)
    assert "groups of 10 frames" in found.finding
    assert quantiser_steps(facts, []).odd is not True


def test_joined_recordings_break_the_groups_where_the_picture_does_not_change(folder):
    film = _moving(96)
    first = _encode(folder / "first.mp4", film[:46], gop=12)
    second = _encode(folder / "second.mp4", film[46:], gop=12)
    facts = read_coding(_joined(folder / "joined.mp4", [first, second]))
    found = groups_of_pictures(facts, cuts(facts))
    assert found.odd is True
    assert found.value == 1
    assert found.details["break 1"].startswith("frame 46 ")
    explained = groups_of_pictures(facts, [46])
    assert explained.odd is False


def test_a_quantiser_that_jumps_is_found_at_its_place():
    none = (None,) * 80
    qp = tuple([20.0, 21.0] * 20 + [31.0, 32.0] * 20)
    facts = CodingFacts("I" + "P" * 79, tuple(at / 25 for at in range(80)), none, qp, (1.0,) * 80)
    found = quantiser_steps(facts, [])
    assert found.odd is True
    assert found.value == pytest.approx(11, abs=0.6)
    assert "frame 40 (1.600 s)" in found.details["largest step"] or "frame 41" in found.details["largest step"]
    assert quantiser_steps(facts, [40]).odd is False
    assert quantiser_steps(CodingFacts("I" * 80, none, none, none, (1.0,) * 80), []).finding.endswith("no quantisers")


def test_repeated_and_dropped_frames_are_counted(folder):
    film = _moving(40)
    film[20] = film[19]
    film[21] = film[19]
    times = [at if at < 30 else at + 3 for at in range(40)]
    found = repeated_frames(read_coding(_encode(folder / "stutter.mp4", film, gop=40, qp=10, times=times)))
    assert found.odd is True
    assert found.details["frames that repeat the one before"] == 2
    assert found.details["repeat 1"].startswith("frame 20 ")
    assert found.details["gaps between frames"] == 1
    assert found.details["gap 1"].startswith("frame 30 ")
    clean = repeated_frames(read_coding(_encode(folder / "clean.mp4", _moving(40), gop=40, qp=10)))
    assert (clean.odd, clean.value) == (False, 0.0)


def test_a_still_scene_is_not_said_to_repeat_frames(folder):
    found = repeated_frames(read_coding(_encode(folder / "still.mp4", np.repeat(_moving(1), 20, 0), gop=20)))
    assert found.details["frames that repeat the one before"] == 0
    assert "cannot be told" in found.finding


def test_a_second_coding_keeps_the_period_of_the_first(folder):
    once = _encode(folder / "once.mp4", _moving(180), gop=9, qp=30)
    twice = _encode(folder / "twice.mp4", _decoded(once), gop=250, qp=20)
    found = former_coding(read_coding(twice), [], rounds=200, seed=0)
    assert found.odd is True
    assert found.details["strongest period (frames)"] % 9 == 0
    first = former_coding(
        read_coding(_encode(folder / "single.mp4", _moving(180), gop=250, qp=20)), [], rounds=200, seed=0
    )
    assert first.odd is False


def test_the_strongest_period_of_a_made_series():
    rng = np.random.default_rng(2)
    places = np.arange(300)
    values = rng.normal(0, 1, 300) + 2.5 * (places % 17 == 5)
    strength, period, phase = strongest_period(places, values, range(6, 40))
    assert (period, phase) in ((17, 5), (34, 5), (34, 22))
    assert strength > 6


def test_cuts_are_abrupt_changes_only():
    change = [0.0, *[1.0] * 20, 40.0, *[1.0] * 20, 11.0, *[1.0] * 5]
    facts = CodingFacts(
        "P" * len(change), (None,) * len(change), (None,) * len(change), (None,) * len(change), tuple(change)
    )
    assert cuts(facts) == [21]
