"""How well marks survive, how often unmarked material is read as marked, what a mark costs in quality and time."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np

from benchmarks.marking_cases import ATTACKS, RARE, STILL, VIDEO, Clip, encoded
from benchmarks.marking_designs import DitherMark
from benchmarks.schema import Measurement
from forge.image_metrics import ssim
from shared.actors import cast, perform
from shared.errors import AssayError
from shared.marking.embed import PSNR_DB, MarkWriter
from shared.marking.payload import Payload
from shared.marking.read import MarkReader
from shared.marking.reading import MarkReading
from shared.video import VideoReader
from shared.video.container import VIDEO_SUFFIXES
from shared.video.images import is_picture, read_picture

SECONDS = 3
_FRAMES = 25 * SECONDS
SIDE_PX = 288
"""Pixels of the shorter side of clips, unless another is asked for: small clips are the hard ones."""
_ACTORS = 1
_PAYLOAD = Payload.of("swap", "5eed15")
_FOLDERS = ("video_grid", "video_portrait", "video_public_domain", "video_more", "video_avatar")


class Survival:
    """Shares of marks read, by case, with the share of the code's bits that were right where one was read."""

    def __init__(self) -> None:
        self.read: dict[str, list[bool]] = defaultdict(list)
        self.right: dict[str, list[float]] = defaultdict(list)
        self.targets: dict[str, float] = {}

    def add(self, case: str, found: bool, bits: float | None = None, target: float | None = None) -> None:
        """One more clip of ``case``; ``bits`` is the share of bits that were right."""
        self.read[case].append(found)
        if bits is not None:
            self.right[case].append(bits)
        if target is not None:
            self.targets[case] = target

    def take(self, case: str, reading: MarkReading, target: float | None = None) -> None:
        """One more reading of ``case``; it counts as read if the payload is the one that was written."""
        found = reading.payload == _PAYLOAD
        self.add(case, found, 1 - (reading.bit_error_rate or 0) if found else None, target)

    def measurements(self) -> list[Measurement]:
        """A share with its 95 % interval (Wilson) for each case."""
        found = []
        for case, values in self.read.items():
            bits = self.right[case]
            note = f"{sum(values)} of {len(values)}"
            note += f"; bits right before correction {np.median(bits):.3f}" if bits else ""
            found.append(share(f"read: {case}", sum(values), len(values), target=self.targets.get(case), note=note))
        return found


def share(name: str, hits: int, count: int, *, target: float | None = None, note: str = "") -> Measurement:
    """A share with its 95 % Wilson interval in place of quartiles."""
    value, z = hits / count, 1.96
    middle = (value + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(value * (1 - value) / count + z * z / (4 * count * count))
    low, high = round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)
    return Measurement(name, "share, 95 % interval", (value,), round(value, 4), low, high, "higher", target, note)


def clips(media: Path | None, most: int, side_px: int) -> Iterator[tuple[str, Clip]]:
    """Clips of 3 s, reduced to that shorter side: a procedural actor, then real ones, folder by folder in turn.

    Clips much smaller than ``side_px`` are left out.
    """
    yielded = 0
    for place, actor in enumerate(cast(_ACTORS, 15)):
        if yielded < most:
            yielded += 1
            yield f"actor {place}", [shot.image for shot in perform(actor, frames=_FRAMES, px=side_px, seed=place)]
    for path in _in_turn(media) if media is not None else ():
        if yielded >= most:
            return
        clip = _read_clip(path, side_px)
        if len(clip) == _FRAMES and min(clip[0].shape[:2]) >= 0.9 * side_px:
            yielded += 1
            yield path.name, clip


def _in_turn(media: Path) -> Iterator[Path]:
    lists = [
        sorted(path for path in (media / name).iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
        for name in _FOLDERS
        if (media / name).is_dir()
    ]
    for place in range(max(map(len, lists), default=0)):
        yield from (paths[place] for paths in lists if place < len(paths))


def _read_clip(path: Path, side_px: int) -> Clip:
    found: Clip = []
    try:
        with VideoReader(path) as reader:
            for frame in islice(reader, _FRAMES):
                found.append(_fitting(frame.image, side_px))
    except AssayError:
        return []
    return found


def _fitting(image: np.ndarray, side_px: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(1.0, side_px / min(height, width))
    size = (round(width * scale) // 2 * 2, round(height * scale) // 2 * 2)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def read_frames(clip: Clip) -> MarkReading:
    """The mark of a clip."""
    reader = MarkReader()
    for image in clip:
        reader.add(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return reader.read()


def survival(
    media: Path | None, *, most: int, minutes: float, side_px: int = SIDE_PX, only: tuple[str, ...] = ()
) -> list[Measurement]:
    """Every case of every clip; no clip is begun after that many minutes. Quality and unmarked clips with it.

    ``only`` leaves out the cases whose name contains none of its words, and then the second design.
    """
    table, quality, unmarked = Survival(), defaultdict(list), []
    ends = time.monotonic() + 60 * minutes
    for place, (_, clip) in enumerate(clips(media, most, side_px)):
        if time.monotonic() > ends:
            break
        writer = MarkWriter(_PAYLOAD)
        marked = [writer.mark(image) for image in clip]
        unmarked.append(read_frames(clip))
        for name, value in _quality(clip, marked).items():
            quality[name].append(value)
        _take_cases(table, clip, marked, only, rare=place % 3 == 0)
    if not unmarked:
        return []
    found = table.measurements()
    alarms = sum(one.found for one in unmarked)
    found.append(_none_wanted("unmarked clips read as marked", "clips", alarms, len(unmarked)))
    found += [
        Measurement.of("PSNR", "dB", quality["psnr"], target=42.0),
        Measurement.of("SSIM", "of 1", quality["ssim"]),
        Measurement.of("flicker added", "share of the clip's own", quality["flicker"], better="lower",
                       note="change of the mark between frames over the change of the picture"),
    ]  # fmt: skip
    return found


def _take_cases(table: Survival, clip: Clip, marked: Clip, only: tuple[str, ...], *, rare: bool) -> None:
    """What is wanted of one clip: encodes and changes of it, of one of its frames, and of its first second."""
    for case, (change, target) in VIDEO.items():
        if _wanted(case, only) and (rare or case not in RARE):
            table.take(case, read_frames(change(marked)), target)
    for case, (change, target) in STILL.items():
        if _wanted(f"still, {case}", only):
            table.take(f"still, {case}", read_frames(change(marked[len(marked) // 2 :][:1])), target)
    for case, change in ATTACKS.items():
        if _wanted(f"limit: {case}", only):
            table.take(f"limit: {case}", read_frames(change(marked[:25])))
    if not only:
        _second_design(table, clip, marked)


def _wanted(case: str, only: tuple[str, ...]) -> bool:
    return not only or any(word in case for word in only)


def _second_design(table: Survival, clip: Clip, marked: Clip) -> None:
    """The dither modulation at the same PSNR, aligned by hand, beside the tile that is searched for."""
    dither = DitherMark(_PAYLOAD.number, psnr_db=PSNR_DB)
    other = [dither.mark(image) for image in clip]
    height, width = clip[0].shape[:2]
    for crf in (28, 35):
        found = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in encoded("libx264", crf)(other)]
        table.add(f"second design (aligned by hand): H.264 crf {crf}", dither.reads(found))
    half = VIDEO["resize .5, crf 23"][0](other)
    back = [cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (width, height)) for image in half]
    table.add("second design (aligned by hand): resize .5, crf 23", dither.reads(back))


def _quality(clip: Clip, marked: Clip) -> dict[str, float]:
    pairs = list(zip(clip, marked, strict=True))
    errors = [float(np.mean((one.astype(np.float32) - two) ** 2)) for one, two in pairs]
    steps = []
    for before, after in pairwise(pairs):
        own = after[0].astype(np.float32) - before[0]
        change = (after[1].astype(np.float32) - before[1]) - own
        steps.append((float(np.mean(change**2)), float(np.mean(own**2))))
    shown = pairs[:: len(pairs) // 4]
    return {
        "psnr": float(np.min([10 * math.log10(255.0**2 / error) for error in errors])),
        "ssim": float(np.mean([_ssim(*pair) for pair in shown])),
        "flicker": math.sqrt(sum(step[0] for step in steps) / max(sum(step[1] for step in steps), 1e-9)),
    }


def _ssim(one: np.ndarray, two: np.ndarray) -> float:
    return float(ssim(one, two))


def false_alarms(media: Path | None, most: int, *, minutes: float) -> list[Measurement]:
    """Unmarked pictures of the media folder, read until the time is over."""
    if media is None:
        return []
    pictures = sorted(path for path in (media / "real_faces").rglob("*") if is_picture(path))[:most]
    statistics: list[float] = []
    limits: list[float] = []
    ends, alarms = time.monotonic() + 60 * minutes, 0
    for path in pictures:
        if time.monotonic() > ends:
            break
        reader = MarkReader()
        reader.add(cv2.cvtColor(_fitting(read_picture(path), SIDE_PX), cv2.COLOR_RGB2GRAY))
        reading = reader.read()
        statistics.append(reading.statistic)
        limits.append(reading.threshold)
        alarms += reading.found
    if not statistics:
        return []
    note = f"of {len(statistics)}"
    return [
        _none_wanted("unmarked pictures read as marked", "pictures", alarms, len(statistics)),
        Measurement.of(
            "statistic of unmarked pictures, largest",
            "standard deviations",
            [max(statistics)],
            better="lower",
            target=round(min(limits), 2),
            note=f"{note}; threshold {min(limits):.2f} to {max(limits):.2f}",
        ),
    ]


def speed(repeats: int) -> list[Measurement]:
    """Frames a second of processor time, at 512 pixels: marking alone, and reading alone without decoding."""
    still = next(iter(perform(cast(1, 15)[0], frames=1, px=512, seed=1))).image
    clip = [np.ascontiguousarray(np.roll(still, 3 * step, axis=1)) for step in range(25)]
    lumas = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in clip]
    wrote, added, searched = [], [], []
    for _ in range(repeats):
        writer, reader = MarkWriter(_PAYLOAD), MarkReader()
        writer.mark(clip[0])
        wrote.append(_rate(lambda writer=writer: [writer.mark(image) for image in clip], len(clip)))
        added.append(_rate(lambda reader=reader: [reader.add(luma) for luma in lumas], len(clip)))
        start = time.process_time()
        reader.read()
        searched.append(time.process_time() - start)
    return [
        Measurement.of("writing, 512 px", "frames/s", wrote, target=25),
        Measurement.of("reading, 512 px", "frames/s", added, target=25),
        Measurement.of("search of a clip, 512 px", "s", searched, better="lower", note="unmarked: both ways round"),
    ]


def _rate(run: Callable[[], object], frames: int) -> float:
    start = time.process_time()
    run()
    return frames / max(time.process_time() - start, 1e-9)


def _none_wanted(name: str, unit: str, alarms: int, count: int) -> Measurement:
    return Measurement.of(name, unit, [float(alarms)], target=0, better="lower", note=f"of {count}")
