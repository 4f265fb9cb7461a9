"""Small clips and datasets made on the spot."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from shared.dataset import DatasetFolder, add_real_clip
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import COMPOSITE_WITH_MODEL, Action, record_facts
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, FrameLabel
from shared.video import Encoding
from tests.factories import PAL, QUICK, clip_record, write_clip


def numbered(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    """A smooth picture that differs with ``index`` by enough to tell frames apart after compression."""
    y, x = np.mgrid[0:height, 0:width]
    planes = (x * 2 + index * 9, y * 3 + index * 5, x + y + index * 7)
    return np.stack([np.clip(40 + plane % 160, 0, 255) for plane in planes], axis=-1).astype(np.uint8)


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    """Makes the picture with a given number."""
    return numbered


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Writes a clip of numbered pictures at the given ticks."""

    def make(
        name: str = "clip.mp4",
        *,
        ticks: Sequence[int] = range(12),
        time_base: Fraction = PAL,
        frame_rate: Fraction | None = None,
        size: tuple[int, int] = (64, 48),
        encoding: Encoding = QUICK,
        **settings: object,
    ) -> Path:
        ticks = list(ticks)
        pictures = (numbered(index, *size) for index in range(len(ticks)))
        clock = {"ticks": ticks, "time_base": time_base, "frame_rate": frame_rate}
        return write_clip(tmp_path / name, pictures, **clock, encoding=encoding, **settings)

    return make


@pytest.fixture
def make_sound(tmp_path: Path) -> Callable[..., Path]:
    """Writes a second of a falling tone, compressed, without a picture."""

    def make(name: str = "sound.m4a", codec: str = "aac", rate: int = 44_100, delay: int = 0) -> Path:
        path = tmp_path / name
        seconds = np.arange(rate) / rate
        samples = (np.sin(2 * np.pi * (880 - 300 * seconds) * seconds) * 12_000).astype(np.int16)
        # The clock of the movie, milliseconds by default, would round a late start.
        options = {"movie_timescale": str(rate)} if path.suffix == ".m4a" else {}
        with av.open(str(path), "w", container_options=options) as container:
            stream = container.add_stream(codec, rate=rate, layout="mono")
            resampler = av.AudioResampler(
                format=stream.codec_context.format, layout="mono", rate=rate, frame_size=stream.frame_size or 1_024
            )
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, delay, Fraction(1, rate)
            for piece in (*resampler.resample(frame), *resampler.resample(None), None):
                container.mux(stream.encode(piece))
        return path

    return make


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., DatasetFolder]:
    """Makes a dataset with real clips of the given people, and a fake for each (source, target) pair."""

    def make(
        people: Sequence[str] = ("ann",), pairs: Sequence[tuple[str, str]] = (), name: str = "toy"
    ) -> DatasetFolder:
        dataset = DatasetFolder.init(tmp_path / name, name)
        for index, person in enumerate(people):
            clip = tmp_path / f"{name}-{person}.mp4"
            _film(clip, start=10 * index)
            add_real_clip(dataset, clip, identity=person, rights="synthetic", encoding=QUICK)
        for source, target in pairs:
            add_fake(dataset, source, target, tmp_path)
        return dataset

    return make


def add_fake(dataset: DatasetFolder, source: str, target: str, scratch: Path) -> ClipRecord:
    """Lists a fake of six frames, of which the first four are forged, with masks, labels and signature."""
    clip = ClipId(dataset.name, "toyswap", f"{target}+{source}")
    masks = dataset.masks_for(clip)
    hashes = []
    for index, relative in enumerate(masks.paths.values()):
        with dataset.stage_media(relative) as draft:
            _film(draft, gray=True, start=index, blank_from=4)
            hashes.append(sha256_file(draft))
    masks = dataclasses.replace(masks, sha256=tuple(hashes))
    relative = dataset.media_for(clip)
    with dataset.stage_media(relative) as draft:
        _film(draft, start=100 + sum(map(ord, source + target)) % 97)
        facts = {"path": relative, "frames": 6, "height": 48, "faked": ((0, 4),), "masks": masks}
        record = clip_record(target, "toyswap", name=clip.name, source=source, dataset=dataset.name, **facts)
        content = sign_clip(
            draft,
            SigningIdentity.load_or_create(),
            title=clip.name,
            actions=[Action("c2pa.edited", "swapped")],
            ingredient=scratch / f"{dataset.name}-{target}.mp4",
            digital_source_type=COMPOSITE_WITH_MODEL,
            record=record_facts(record),
        )
        record = dataclasses.replace(record, sha256=sha256_file(draft), content_sha256=content)
    labels = [
        FrameLabel(clip, index, index, index / 25, "fake" if index < 4 else "real", 0, (1.0, 2.0, 31.0, 42.0), 30.0)
        for index in range(6)
    ]
    return dataset.add(record, labels)


def _film(path: Path, *, start: int = 0, gray: bool = False, blank_from: int = 6) -> None:
    pictures = (numbered(start + index) * np.uint8(index < blank_from) for index in range(6))
    if gray:
        write_clip(path, (each[..., 0] for each in pictures), frame_rate=None, encoding=Encoding.lossless_mask())
    else:
        write_clip(path, pictures, frame_rate=None)
