"""A set of toy people with every kind of task of a build, and what of a dataset is equal whenever it was made equally.

The people are ovals with eyes and a mouth, with landmarks beside their clips. The settings ask for cutting, facesets, a
training with two exported checkpoints, masters, two renditions, signing and listing.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.dataset import DatasetFolder
from shared.dataset.files import with_digests
from shared.dataset.layout import FRAMES, SETTINGS
from shared.dataset.manifest import encode_record
from shared.errors import AssayError
from shared.faces.align import MEAN_FACE
from shared.storage import sha256_file, write_text
from shared.types import Timestamp
from shared.video import VideoWriter

_SIDE = 80
_BASE = Fraction(1, 25)

TOY = """
renditions = ["c23", {{ name = "small", crf = 30, size = 48, through = [{{ crf = 35 }}] }}]

[set]
name = "toy"
license = "CC0-1.0"
finder = "sidecar"
min_face_px = 16
{more}

[faces]
px = 48
min_face_px = 16
embed_every = 0

[splits]
{splits}

{people}

[[swapper]]
name = "light"
steps = [2, 4]
settings = {{ model = "lightweight", width = 0.125, batch = 2, preview_every = 100, log_every = 100 }}

[[manipulation]]
name = "plain"
swapper = "light"
steps = [4]
segments = {{ share = 0.5 }}
settings = {{ mask = {{ kind = "hull" }} }}

[[manipulation]]
name = "ladder"
swapper = "light"
pairs = "ring"
self_swaps = false
"""


def toy_set(folder: Path, *, groups: tuple[int, ...] = (2,), frames: int = 8, more: str = "") -> Path:
    """Renders clips of toy people and writes a ``set.toml`` for them; returns its path.

    ``groups`` are the numbers of people in train and test; ``more`` is put into ``[set]``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"p{number}" for number in range(sum(groups))]
    people = []
    for number, name in enumerate(names):
        film(folder / f"{name}.mp4", frames, number)
        people.append(f'[[identity]]\nname = "{name}"\nrights = "synthetic"\nclips = ["{name}.mp4"]\n')
    splits, first = [], 0
    for split, count in zip(("train", "test"), groups, strict=False):
        splits.append(f"{split} = {names[first : first + count]!r}")
        first += count
    text = TOY.format(splits="\n".join(splits), people="\n".join(people), more=more)
    write_text(folder / "set.toml", text)
    return folder / "set.toml"


def film(path: Path, frames: int, number: int, *, people: int = 1) -> None:
    """Renders a clip of ``people`` side by side, each smaller than the one before, with a landmarks sidecar."""
    rng = np.random.default_rng(number)
    shades = rng.integers(120, 220, (people, 3))
    rows: list[tuple[int, list[float]]] = []
    width = _SIDE * people
    with VideoWriter(path, width=width, height=_SIDE, time_base=_BASE, frame_rate=1 / _BASE) as writer:
        for frame in range(frames):
            picture = np.clip(rng.normal(90, 6, (_SIDE, width, 3)), 0, 255).astype(np.uint8)
            for person in range(people):
                place = [18 + frame * 0.7 + _SIDE * person, 20 + number]
                points = (MEAN_FACE * (40 - 6 * person) + place).astype(np.float32)
                cv2.fillConvexPoly(picture, cv2.convexHull(points.round().astype(np.int32)), shades[person].tolist())
                for part in (range(36, 42), range(42, 48), range(48, 60)):
                    hull = cv2.convexHull(points[list(part)].round().astype(np.int32))
                    cv2.fillConvexPoly(picture, hull, (60, 30, 30))
                rows.append((frame, points.reshape(-1).tolist()))
            writer.write(picture, Timestamp(frame, _BASE))
    points_column = pa.array([points for _, points in rows], pa.list_(pa.float32(), 136))
    table = {"frame": [frame for frame, _ in rows], "landmarks": points_column}
    pq.write_table(pa.table(table), path.with_suffix(".landmarks.parquet"))


def fingerprint(dataset: Path) -> str:
    """A digest of the deterministic results of a build: records without hashes of signed files, labels, masks, order.

    C2PA salts its signatures, so signed files differ between equal builds; ``content_sha256``, which is of the clip
    before it was signed, is in the records.
    """
    folder = DatasetFolder.open(dataset)
    digest = hashlib.sha256()
    for record in folder.records():
        digest.update(encode_record(replace(record, sha256="0" * 64)))
        for path in folder.mask_paths(record).values():
            digest.update(sha256_file(path).encode())
    digest.update((dataset / FRAMES).read_bytes())
    return digest.hexdigest()


def half_written(dataset: Path) -> list[str]:
    """Listed files of ``dataset`` that are missing or differ; empty if there are none, or no dataset."""
    if not (dataset / SETTINGS).is_file():
        return []
    problems: list[str] = []
    folder = DatasetFolder.open(dataset)
    for record in folder.records():
        try:
            with_digests(dataset, record)
        except AssayError as error:
            problems.append(str(error))
    return problems
