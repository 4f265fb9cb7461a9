"""A few frames of a swap as a labelled, signed picture, without making the clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from forge.swapping.config import SwapConfig
from forge.swapping.images import ImageFolderReader
from forge.swapping.marks import Finish
from forge.swapping.plan import found_plan
from forge.swapping.previews import shrunk, write_preview
from forge.swapping.record import SwapOutcome, fake_record
from forge.swapping.render import composited_frames
from forge.swapping.request import SwapModels, SwapOverrides, SwapRequest, resolve_request
from forge.swapping.stages import CompositedFrame
from shared.console import console
from shared.errors import UsageError
from shared.faces.facesets.summary import check_picture_path
from shared.faces.finders.finder import FaceFinder
from shared.faces.identity import IdentityEmbedder
from shared.provenance.identity import SigningIdentity
from shared.provenance.read import read_provenance
from shared.provenance.sign import need_signable
from shared.sampling import evenly_spaced
from shared.storage import need_free_space
from shared.types import ClipRecord, Frame
from shared.video import VideoReader, probe
from shared.video.excerpt import ClipRange
from shared.video.images import encode_jpeg, encode_png

MOST_FRAMES = 48
"""The most frames on one sheet."""

_CELL_HEIGHT_PX, _MOST_WIDTH_PX = 320, 480
_ROWS_IN_ONE_BLOCK = 4
_STRIP_PX, _GAP_PX = 24, 12
_INK, _WARNING_INK = (235, 235, 235), (255, 190, 90)
_SYNTHETIC = "SYNTHETIC: face swap made by Assay"


def sample_swap(
    target: Path,
    *,
    swapper: Path,
    source: str,
    out: Path,
    count: int,
    config: SwapConfig = SwapConfig(),  # noqa: B008 - frozen
    target_identity: str | None = None,
    rights: str | None = None,
    name: str | None = None,
    stretch: ClipRange | None = None,
    finder: FaceFinder | None = None,
    embedder: IdentityEmbedder | None = None,
    mark: bool = True,
    notice: bool = False,
) -> ClipRecord:
    """Swaps ``count`` frames, evenly spaced over ``target`` or a stretch of it, and writes them to the picture ``out``.

    Each frame is beside its target, under its number and time. The picture is marked and signed as a fake; without
    ``mark`` its record says so. Every frame is treated
    as a single picture: smoothing over time and motion blur, which need the frames around it, are not in it.

    Returns:
        A record of these frames as one fake; it is signed into the picture and listed nowhere.

    Raises:
        UsageError: ``count`` is not 1 to 48, ``out`` is no name of a picture or holds another one; else as for
            :func:`forge.swapping.clip.swap_clip`.
        MediaError: the target cannot be read.
        NoFaceError: none of the frames shows a face.
        CheckpointError: the swapper cannot be read.
        StorageError: writing failed.
    """
    if not 1 <= count <= MOST_FRAMES:
        raise UsageError(f"a preview has 1 to {MOST_FRAMES} frames, not {count}", hint="such as --preview 8")
    check_picture_path(out)
    _need_preview(out)
    pictures = ImageFolderReader(target, stretch=stretch) if target.is_dir() else None
    info = probe(target) if pictures is None else None
    overrides = SwapOverrides(target_identity, rights, name, stretch=stretch)
    request = resolve_request(target, swapper, source, config, overrides, rendition="preview", info=info)
    need_signable(SigningIdentity.load_or_create(), pictures.paths[0] if pictures else None)
    need_free_space(out.absolute().parent, 16 << 20)
    frames, names = _sampled(request, pictures, count)
    # These frames keep their numbers in the target, by which stored faces are found.
    swap, finder, embedder = SwapModels(finder, embedder).open(replace(request, excerpt=None))
    plan = found_plan(
        frames, replace(config, segments=()), finder, declared=len(frames), what=str(target), embedder=embedder,
        single=True,
    )  # fmt: skip
    if config.blend.motion_blur:
        console.warn("a preview shows no motion blur, which needs the frames around each")
    outcome, cells = SwapOutcome(), list[np.ndarray]()
    with closing(composited_frames(frames, plan, swap)) as finished:
        for place, (done, label) in enumerate(zip(finished, names, strict=True)):
            if done.masks.any_changed:
                outcome.faked.append(place)
            outcome.alpha_instead += done.alpha_instead
            cells.append(_cell(done, label))
    outcome.need_faked(target)
    sheet, finish = _sheet(cells, request), Finish.of(request, mark=mark, notice=notice)
    codec, encode = ("png", encode_png) if out.suffix.lower() == ".png" else ("mjpeg", encode_jpeg)
    record = fake_record(
        request, outcome, finder=finder.name, path=out.name, frames=len(frames), size=sheet.shape[1::-1], codec=codec,
        factors=plan.factors | finish.factors() | {"preview_frames": ",".join(str(frame.index) for frame in frames)},
    )  # fmt: skip
    write_preview(out, encode(finish.apply(sheet)), record, finish.bindings)
    return record


def _need_preview(out: Path) -> None:
    """Refuses to replace anything but an earlier preview."""
    if not out.exists():
        return
    provenance = read_provenance(out) if out.is_file() else None
    facts = provenance.record if provenance is not None else None
    if facts is None or facts.get("rendition") != "preview":
        raise UsageError(f"{out} is there and no preview of a swap", hint="choose another --out")


def _sampled(request: SwapRequest, pictures: ImageFolderReader | None, count: int) -> tuple[list[Frame], list[str]]:
    """The frames of the sheet and what they are called."""
    if pictures is not None:
        places = {path: place for place, path in enumerate(pictures.paths, pictures.chosen.start)}
        pictures.paths = [pictures.paths[place] for place in evenly_spaced(len(pictures.paths), count)]
        read = list(pictures)
        frames = [replace(frame, index=places[path]) for frame, path in zip(read, pictures.taken, strict=True)]
        return frames, [path.name for path in pictures.taken]
    with VideoReader(request.target) as reader:
        cut = request.excerpt
        declared = reader.info.frames_declared
        whole = (cut.start, cut.stop) if cut else (0, declared or sum(1 for _ in reader.times()))
        within = request.config.segments or (whole,)
        usable = [frame for start, stop in within for frame in range(start, min(stop, whole[1]))]
        if not usable:
            raise UsageError(f"{request.target} has no frame in {within[0]}", hint="mend the segments")
        frames = list(reader.picked({usable[place] for place in evenly_spaced(len(usable), count)}))
    return frames, [f"frame {frame.index}, {frame.time.seconds:.2f} s" for frame in frames]


def _cell(done: CompositedFrame, label: str) -> np.ndarray:
    """A target and its swap, side by side, below their label."""
    pair = np.hstack([shrunk(one, _CELL_HEIGHT_PX, _MOST_WIDTH_PX) for one in (done.frame.image, done.image)])
    note = "" if done.masks.any_changed else ", not swapped: no face found in this frame alone"
    return np.vstack([_strip(f"{label}{note}", pair.shape[1], _INK), pair])


def _sheet(cells: Sequence[np.ndarray], request: SwapRequest) -> np.ndarray:
    """(H, W, 3) uint8: the cells in one block or two, below a title that says what they are."""
    width, height = max(cell.shape[1] for cell in cells), max(cell.shape[0] for cell in cells)
    cells = [_padded(cell, height + _GAP_PX // 2, width) for cell in cells]
    blocks = 1 if len(cells) <= _ROWS_IN_ONE_BLOCK else 2
    rows = -(-len(cells) // blocks)
    columns = [np.vstack(cells[start : start + rows]) for start in range(0, len(cells), rows)]
    columns = [_padded(column, columns[0].shape[0], width + (_GAP_PX if blocks > 1 else 0)) for column in columns]
    body = np.hstack(columns)
    return np.vstack([*(_strip(line, body.shape[1], ink) for line, ink in _title(request)), body])


def _title(request: SwapRequest) -> Iterator[tuple[str, tuple[int, int, int]]]:
    config = request.config
    yield f"{_SYNTHETIC}: {request.source}'s face in a video of {request.target_identity}", _WARNING_INK
    yield (
        f"left target, right swap; {request.card.model} {request.swapper_sha256[:8]}, color {config.color.method}, "
        f"mask {config.mask.kind}, blend {config.blend.method}",
        _INK,
    )


def _padded(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.pad(picture, ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)))


def _strip(text: str, width: int, ink: tuple[int, int, int]) -> np.ndarray:
    """One line of text, drawn small enough to fit."""
    strip = np.zeros((_STRIP_PX, width, 3), np.uint8)
    text = text.encode("ascii", "replace").decode()
    drawn, _below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    size = 0.5 * min(1.0, (width - 10) / max(1, drawn[0]))
    cv2.putText(strip, text, (5, _STRIP_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)
    return strip
