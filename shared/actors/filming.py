"""Clips of actors with sound, and their exact landmarks in a sidecar file; rendered once and cached."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.actors.actor import Actor, perform, plan_track
from shared.actors.motion import Liveliness
from shared.actors.voice import babble, write_sound
from shared.errors import StorageError
from shared.home import cache_home
from shared.storage import replacing, replacing_folder
from shared.types import Timestamp
from shared.video.encoding import Encoding
from shared.video.writer import VideoWriter

_CLIP, _LANDMARKS = "clip.mp4", "clip.landmarks.parquet"
_SOURCES = Path(__file__).parent


def film(
    actor: Actor,
    path: Path,
    *,
    seconds: float,
    px: int = 256,
    seed: int,
    audio: bool = True,
    frame_rate: Fraction = Fraction(25),
    liveliness: Liveliness | None = None,
    encoding: Encoding = Encoding(),  # noqa: B008 - frozen
) -> Path:
    """A clip of the actor at ``path`` (.mp4), with ``path.with_suffix(".landmarks.parquet")`` beside it.

    The sidecar has one row per frame: ``frame`` (int32) and ``landmarks`` (list of 136 float32, x and y alternating, in
    frame pixels). A clip rendered before with the same arguments and code is taken from the user's cache.

    Args:
        actor: the person.
        path: of the clip.
        seconds: duration; rounded to whole frames, one at least.
        px: height and width.
        seed: of the performance.
        audio: whether to add sound that follows the jaw.
        frame_rate: frames per second.
        liveliness: amount of motion.
        encoding: of the video.

    Raises:
        ValueError: a duration or size out of range.
        StorageError: writing failed.
    """
    frames = max(1, round(seconds * frame_rate))
    asked = {
        "traits": asdict(actor.traits), "actor": actor.seed, "seed": seed, "frames": frames, "px": px, "audio": audio,
        "rate": str(frame_rate), "liveliness": None if liveliness is None else asdict(liveliness),
        "encoding": asdict(encoding), "code": _code_digest(),
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]
    kept = cache_home() / "actors" / key
    if not _is_whole(kept):
        try:
            with replacing_folder(kept, over=kept.exists()) as draft:
                _shoot(actor, draft, frames, px, seed, frame_rate, liveliness, encoding, audio=audio)
        except StorageError:
            if not _is_whole(kept):  # else another process has filmed the same meanwhile
                raise
    for name, target in ((_CLIP, path), (_LANDMARKS, path.with_suffix(".landmarks.parquet"))):
        with replacing(target) as draft:
            shutil.copyfile(kept / name, draft)
    return path


def _is_whole(kept: Path) -> bool:
    return (kept / _CLIP).is_file() and (kept / _LANDMARKS).is_file()


@lru_cache(maxsize=1)
def _code_digest() -> str:
    """Digest of the code of actors, so that the cache is not used after a change of it."""
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _shoot(
    actor: Actor, folder: Path, frames: int, px: int, seed: int, frame_rate: Fraction,
    liveliness: Liveliness | None, encoding: Encoding, *, audio: bool,
) -> None:  # fmt: skip
    marks = np.empty((frames, 136), dtype=np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        sound: Path | None = None
        if audio:
            track = plan_track(actor, frames=frames, frame_rate=frame_rate, seed=seed, liveliness=liveliness)
            rng = np.random.default_rng([actor.seed, seed, 4])
            sound = write_sound(Path(scratch) / "voice.m4a", babble(actor, track, frame_rate, rng))
        writer = VideoWriter(
            folder / _CLIP, width=px, height=px, time_base=1 / frame_rate, frame_rate=frame_rate, encoding=encoding,
            audio_from=sound,
        )  # fmt: skip
        shots = perform(actor, frames=frames, px=px, frame_rate=frame_rate, seed=seed, liveliness=liveliness)
        with writer:
            for index, shot in enumerate(shots):
                writer.write(shot.image, Timestamp(index, 1 / frame_rate))
                marks[index] = shot.landmarks.reshape(-1)
    table = pa.table(
        {
            "frame": pa.array(np.arange(frames, dtype=np.int32)),
            "landmarks": pa.FixedSizeListArray.from_arrays(pa.array(marks.reshape(-1)), 136),
        }
    )
    pq.write_table(table, folder / _LANDMARKS)
