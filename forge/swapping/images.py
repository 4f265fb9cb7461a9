"""Frames to frames: a folder of pictures, or a video, becomes a folder of PNG pictures with the face swapped.

::

    frames/NAME.png                    every picture, swapped or not, each with its own signature inside
    masks/{alpha,changed,region}/NAME.png
    frames.json                        a signed list: who, how, which pictures are fake, where the faces are, digests

For people who composite, grade or encode elsewhere. A picture with a swapped face carries an imperceptible mark all
over, unless that is left out, which the list says; all other pictures, and without a mark every pixel that was not
swapped, are those of the target.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from forge.swapping.config import SwapConfig
from forge.swapping.coverage import SwapCoverage
from forge.swapping.flicker import FlickerMeter
from forge.swapping.marks import Finish
from forge.swapping.masks import MASK_KINDS
from forge.swapping.patches import patch_writer
from forge.swapping.plan import SwapPlan, found_plan
from forge.swapping.record import SwapOutcome, fake_record, frame_labels, swap_action
from forge.swapping.render import composited_frames
from forge.swapping.request import SwapModels, SwapOverrides, SwapRequest, resolve_request
from forge.swapping.stages import CompositedFrame
from shared import config as settings
from shared.console import console
from shared.dataset.excerpts import excerpt_factor
from shared.errors import MediaError, UsageError, storage_errors
from shared.faces.finders.finder import FaceFinder
from shared.faces.identity import IdentityEmbedder
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import need_signable, sign_clip
from shared.provenance.signed_list import write_signed
from shared.provenance.types import CAPTURE, COMPOSITE_WITH_MODEL, Action, record_facts
from shared.storage import need_replaceable, replacing_folder, sha256_file
from shared.types import ClipRecord, Frame, Timestamp
from shared.video import VideoReader, probe
from shared.video.excerpt import ClipRange
from shared.video.images import encode_png, pictures_in, read_picture
from shared.video.unread import Unread, frames_note

LIST = "frames.json"
_RATE = Fraction(25)


class ImageFolderReader:
    """The pictures of a folder as frames, 25 a second, in the order a person would count them.

    ``sequence`` says that they are the frames of one video, so all of one size; ``stretch`` chooses some of them. A
    picture that cannot be read is passed over and noted in ``unread``; ``taken`` are the others of the latest pass, by
    the index of their frame.

    Raises:
        UsageError: no picture lies in ``stretch``.
        MediaError: the folder holds no picture; while reading, none can be read or, in a sequence, one has another
            size.
    """

    def __init__(self, folder: Path, *, sequence: bool = False, stretch: ClipRange | None = None) -> None:
        paths = pictures_in(folder)
        self.chosen = slice(0, len(paths)) if stretch is None else stretch.pictures(len(paths), str(folder))
        self.paths, self.sequence = paths[self.chosen], sequence
        self.unread = Unread()
        self.taken: list[Path] = []

    def __iter__(self) -> Iterator[Frame]:
        shape: tuple[int, ...] | None = None
        self.unread, self.taken = Unread(), []
        for path in self.paths:
            image = None
            with self.unread.passing_over(path):
                image = read_picture(path)
            if image is None:
                continue
            shape = shape or image.shape
            if self.sequence and image.shape != shape:
                raise MediaError(
                    f"{path} is {image.shape[1]}x{image.shape[0]}, the first picture {shape[1]}x{shape[0]}",
                    hint="the frames of a video have one size; leave out --sequence for single pictures",
                )
            index = len(self.taken)
            self.taken.append(path)
            yield Frame(index, Timestamp(index, 1 / _RATE), image)
        self.unread.need_some(len(self.taken))


def swap_images(
    target: Path,
    *,
    swapper: Path,
    source: str,
    out: Path,
    config: SwapConfig = SwapConfig(),  # noqa: B008 - frozen
    target_identity: str | None = None,
    rights: str | None = None,
    name: str | None = None,
    finder: FaceFinder | None = None,
    embedder: IdentityEmbedder | None = None,
    patches: Path | None = None,
    sequence: bool = False,
    stretch: ClipRange | None = None,
    mark: bool = True,
    notice: bool = False,
) -> ClipRecord:
    """Puts the face of ``source`` into the pictures of ``target`` (a folder or a video) and writes them to ``out``.

    ``out`` appears whole, or not at all. The pictures of a folder are single ones, of any size: faces are found in each
    anew, and the person is recognised by identity. With ``sequence`` they are the frames of one video: faces are
    tracked and smoothed, gaps bridged. ``mark`` and ``notice``: see :mod:`forge.swapping.marks`. The other arguments
    are those of :func:`forge.swapping.clip.swap_clip`.

    Returns:
        The record of all pictures as one fake. Its ``sha256`` and ``content_sha256`` are digests
        (:func:`shared.config.digest`) of name to SHA-256 of the pictures, signed and before they were; it names no
        masks, which lie beside the pictures, and no parent unless ``target`` is a clip of a dataset.

    Raises:
        UsageError: an unknown source, settings the swapper cannot follow, ``out`` holds something else, or a
            ``sequence`` that is no folder.
        MediaError: no picture can be read.
        NoFaceError: no picture shows a face.
        CheckpointError: the swapper cannot be read.
        StorageError: writing failed.
    """
    need_replaceable(out, LIST, marks=(LIST,))
    if sequence and not target.is_dir():
        raise UsageError(f"{target} is no folder of pictures", hint="leave out --sequence: a video is a sequence")
    single = target.is_dir() and not sequence
    pictures = ImageFolderReader(target, sequence=sequence, stretch=stretch) if target.is_dir() else None
    overrides = SwapOverrides(target_identity, rights, name, stretch=stretch)
    info = probe(target) if pictures is None else None
    request = resolve_request(target, swapper, source, config, overrides, rendition="png", info=info)
    need_signable(SigningIdentity.load_or_create(), pictures.paths[0] if pictures else None)
    if pictures is not None:
        chosen = {} if stretch is None else excerpt_factor(pictures.chosen.start, pictures.chosen.stop)
        notes = {"pictures": "single" if single else "sequence"} | chosen
        request = replace(request, notes=dict(request.notes) | notes)
    swap, finder, embedder = SwapModels(finder, embedder).open(request)
    with nullcontext(pictures) if pictures is not None else request.video() as reader:
        declared = len(reader.paths) if isinstance(reader, ImageFolderReader) else reader.info.frames_declared
        plan = found_plan(
            reader, config, finder, declared=declared, what=str(target), embedder=embedder, single=single,
        )  # fmt: skip
    outcome = SwapOutcome(flicker=None if single else FlickerMeter())
    with (
        patch_writer(patches) as exported,
        replacing_folder(out) as draft,
        nullcontext(pictures) if pictures is not None else request.video() as reader,
    ):
        finish = Finish.of(request, mark=mark, notice=notice)
        folder = _PictureFolder(draft, reader, request, finder.name, finish)
        with (
            console.progress("swapping", plan.frames, unit="picture") as tick,
            closing(composited_frames(reader, plan, swap)) as frames,
        ):
            for done in frames:
                outcome.take(done)
                folder.write(done)
                exported.write(done)
                tick(1)
        outcome.need_faked(target)
        record = folder.finish(plan, outcome)
        exported.finish(record)
    return record


class _PictureFolder:
    """Writes pictures and masks, signs each picture, and the list of them all."""

    def __init__(
        self, folder: Path, reader: ImageFolderReader | VideoReader, request: SwapRequest, finder: str, finish: Finish
    ) -> None:
        self._folder, self._request, self._finder = folder, request, finder
        self._reader, self._finish = reader, finish
        self._identity = SigningIdentity.load_or_create()
        self._content: dict[str, str] = {}
        self._files: dict[str, str] = {}
        self._size = (0, 0)
        for name in ("frames", *(f"masks/{kind}" for kind in MASK_KINDS)):
            with storage_errors(folder):
                (folder / name).mkdir(parents=True)

    def write(self, done: CompositedFrame) -> None:
        index, source = done.frame.index, self._source(done)
        name = f"{index:08d}.png" if source is None else f"{source.stem}.png"
        if name in self._content:
            name = f"{index:08d}-{name}"  # a.jpg and a.png in one folder
        self._size = done.image.shape[1], done.image.shape[0]
        image = self._finish.apply(done.image) if done.masks.any_changed else done.image
        picture = self._put(f"frames/{name}", image)
        self._content[name] = self._sign(picture, done)
        self._files[f"frames/{name}"] = sha256_file(picture)
        for kind in MASK_KINDS:
            path = f"masks/{kind}/{name}"
            self._files[path] = sha256_file(self._put(path, getattr(done.masks, kind)))

    def _source(self, done: CompositedFrame) -> Path | None:
        reader = self._reader
        return reader.taken[done.frame.index] if isinstance(reader, ImageFolderReader) else None

    def _put(self, name: str, picture: np.ndarray) -> Path:
        path = self._folder / name
        with storage_errors(path):
            path.write_bytes(encode_png(picture))
        return path

    def _sign(self, path: Path, done: CompositedFrame) -> str:
        """A picture that holds a swapped face says so; one that was passed through says that. Its hash before that."""
        fake = done.masks.any_changed
        passed = Action("c2pa.transcoded", "stored again, no pixel changed")
        record = self._record(1, SwapOutcome([0] if fake else []))
        about = record_facts(record) | ({} if fake else {"label": "real", "source_identity": None})
        return sign_clip(
            path,
            self._identity,
            title=path.name,
            actions=[swap_action(self._request) if fake else passed],
            ingredient=self._source(done),
            digital_source_type=COMPOSITE_WITH_MODEL if fake else CAPTURE,
            record=about,
            bindings=self._finish.bindings if fake else (),
        )

    def _record(self, frames: int, outcome: SwapOutcome) -> ClipRecord:
        return fake_record(
            self._request, outcome, finder=self._finder, path="frames", frames=frames, size=self._size, codec="png"
        )

    def _unread(self, frames: int) -> dict[str, str]:
        """What of the target could not be read, for the record; said on standard error, too."""
        if isinstance(self._reader, VideoReader):
            return frames_note(self._reader.info.frames_declared, frames)
        unread = self._reader.unread
        unread.say(frames)
        return {"source_frames": unread.words(frames)} if unread.reasons else {}

    def finish(self, plan: SwapPlan, outcome: SwapOutcome) -> ClipRecord:
        signed = {name: self._files[f"frames/{name}"] for name in self._content}
        coverage = SwapCoverage.of(plan, outcome.faked)
        coverage.warn(self._request.target)
        record = self._record(len(signed), outcome)
        record = replace(
            record,
            sha256=settings.digest(signed),
            content_sha256=settings.digest(self._content),
            factors=record.factors
            | self._finish.factors()
            | plan.factors
            | coverage.factors()
            | self._unread(plan.frames),
        )
        labels = [asdict(label) for label in frame_labels(record.id, plan, set(outcome.faked))]
        rows = [{key: value for key, value in label.items() if key != "clip"} for label in labels]
        clip = record_facts(record) | {"content_sha256": record.content_sha256}
        facts = {"clip": clip, "factors": record.factors, "labels": rows}
        write_signed(self._folder / LIST, facts, self._files)
        return record
