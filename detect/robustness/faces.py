"""Faces of perturbed clips: frames are changed or the whole video is re-encoded, then faces are found."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from detect.config.scoring import FaceConfig
from detect.models.windows import consecutive_frames
from detect.robustness.perturb import Cell, encodings, keeps_every, perturbed
from shared.faces.finders.finder import FaceFinder
from shared.faces.stream import FollowConfig, follow
from shared.sampling import evenly_spaced
from shared.types import Face, Frame
from shared.video import Encoding, VideoWriter
from shared.video.media import clip_reader


def wanted_frames(
    frames: int, count: int, cell: Cell, *, consecutive: bool = False, rate: Fraction | None = None
) -> list[int]:
    """The numbers, in the original clip of ``frames`` frames, of the ``count`` frames to score.

    Evenly spaced, or ``consecutive`` ones about the middle, every n-th at a high ``rate``; where frames are dropped,
    each is moved back to the last frame that is kept. None is repeated.
    """
    step = keeps_every(cell)
    chosen = consecutive_frames(frames, count, rate) if consecutive else evenly_spaced(frames, count)
    return sorted({place // step * step for place in chosen})


def perturbed_faces(
    path: Path, wanted: Sequence[int], cell: Cell, finder: FaceFinder, faces: FaceConfig, *, seed: int
) -> Iterator[tuple[Frame, list[Face]]]:
    """The ``wanted`` frames of a video after perturbation, with their original numbers and the faces found.

    Random perturbations (noise, blocks) depend on ``seed`` and the frame number only.

    Raises:
        MediaError: the video cannot be read, or an encoder refuses it.
    """
    settings = FollowConfig(detect_every=1, min_face_px=faces.min_face_px, max_faces=faces.max_faces)
    with _encoded(path, cell, last=max(wanted, default=-1)) as video:
        yield from follow(_pictures(video, wanted, cell, seed), finder, settings)


def _pictures(video: Path, wanted: Sequence[int], cell: Cell, seed: int) -> Iterator[Frame]:
    step = keeps_every(cell)
    numbers = {place // step: place for place in wanted}
    with clip_reader(video) as reader:
        for frame in reader.frames(stop=max(numbers, default=-1) + 1):
            place = numbers.get(frame.index)
            if place is not None:
                rng = np.random.default_rng((seed, place))
                yield Frame(place, frame.time, perturbed(frame.image, cell, rng))


@contextmanager
def _encoded(path: Path, cell: Cell, *, last: int) -> Iterator[Path]:
    """Path of the video after the encoders of ``cell``, up to frame ``last``; ``path`` if there are none."""
    steps = encodings(cell)
    if not steps:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="assay-perturbed-") as folder:
        every = keeps_every(cell)
        for number, encoding in enumerate(steps):
            out = Path(folder) / f"{number}.mp4"
            _encode(path, out, encoding, every=every, stop=last + 1)
            path, every, last = out, 1, last // every
        yield path


def _encode(path: Path, out: Path, encoding: Encoding, *, every: int, stop: int) -> None:
    """Writes every ``every``-th of the first ``stop`` frames with its timestamp."""
    with clip_reader(path) as reader:
        info = reader.info
        rate = None if info.frame_rate is None else Fraction(info.frame_rate, every)
        with VideoWriter(
            out,
            width=info.width,
            height=info.height,
            time_base=info.time_base,
            frame_rate=rate,
            encoding=encoding,
        ) as writer:
            for frame in reader.frames(stop=stop, step=every):
                writer.write(frame.image, frame.time)
