"""Common parts of swapper benchmarks: clips of held-out frames, and matching of facesets to clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from forge.quality.measure import holdout
from shared.errors import UsageError
from shared.faces.facesets.reader import Faceset
from shared.sampling import evenly_spaced
from shared.storage import sha256_file
from shared.types import Timestamp
from shared.video import Encoding, VideoReader, VideoWriter, frame_times

FRACTION = 0.2
"""Held-out fraction: the last fifth of every clip, as in ``TrainConfig.holdout``."""

_ENCODING = Encoding(crf=6, preset="veryfast")


def pair_up(facesets: Sequence[Path], clips: Sequence[Path]) -> dict[str, tuple[Path, Path]]:
    """By identity, the faceset and the clip that its faces came from, found by the clip's SHA-256.

    Raises:
        UsageError: a clip is of none of the facesets, a faceset has no clip, or two are of one person.
        FacesetError: a faceset is damaged.
    """
    by_hash = {sha256_file(clip): clip for clip in clips}
    paired: dict[str, tuple[Path, Path]] = {}
    for path in facesets:
        info = Faceset.open(path).info
        own = [by_hash.pop(clip.sha256) for clip in info.clips if clip.sha256 in by_hash]
        if not own:
            raise UsageError(f"none of the clips is one that {path} was extracted from", hint="name its clip")
        if info.identity in paired:
            raise UsageError(f"two facesets are of {info.identity}", hint="name one faceset per person")
        paired[info.identity] = (path, own[0])
    if by_hash:
        names = ", ".join(clip.name for clip in by_hash.values())
        raise UsageError(f"no faceset was extracted from {names}", hint="name only clips of the facesets")
    return paired


def excerpt(clip: Path, out: Path, *, frames: int | None = None) -> Path:
    """The held-out frames of ``clip``, all or ``frames`` of them evenly spaced, as a clip at ``out``.

    Frame intervals are kept, so that temporal smoothing is not affected. An existing clip is reused.

    Raises:
        MediaError: the clip cannot be read.
        StorageError: writing failed.
    """
    if out.exists():
        return out
    start, stop = holdout(len(frame_times(clip)), FRACTION)
    wanted = {start + place for place in evenly_spaced(stop - start, frames or stop - start)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with VideoReader(clip) as reader:
        info = reader.info
        chosen = (frame for frame in reader.frames(start=start, stop=stop) if frame.index in wanted)
        first = next(chosen)
        base = first.time.time_base
        rate = None if frames else info.frame_rate
        with VideoWriter(
            out, width=info.width, height=info.height, time_base=base, frame_rate=rate, encoding=_ENCODING
        ) as writer:
            writer.write(first.image, Timestamp(0, base))
            for frame in chosen:
                writer.write(frame.image, Timestamp(frame.time.pts - first.time.pts, base))
    return out
