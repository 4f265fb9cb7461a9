"""Frames to frames: a folder of pictures, or a video, becomes a folder of PNG pictures with the face swapped.

::

    frames/NAME.png                    every picture, swapped or not, each with its own signature inside
    masks/{alpha,changed,region}/NAME.png
    frames.json                        a signed list: who, how, which pictures are fake, where the faces are, digests

For people who composite, grade or encode elsewhere. Lossless in every pixel that was not swapped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np

import shared
from forge.models.checkpoint import SwapperCard, digest_of, load_swapper
from forge.models.predictor import SwapPredictor
from forge.swapping.clip import found_plan, frame_labels
from forge.swapping.config import SwapConfig, setting_factors
from forge.swapping.masks import MASK_KINDS
from forge.swapping.patches import patch_writer
from forge.swapping.plan import SwapPlan
from forge.swapping.render import Identities, align_faces, composite, swap_faces
from forge.swapping.request import checked_card, need_morph, need_target_decoder, rights_of, the_other
from forge.swapping.signed_list import need_replaceable, write_signed
from forge.swapping.stages import CompositedFrame
from forge.swapping.super_resolution import make_enlarge
from forge.swapping.temporal import stabilize_color
from shared import config as settings
from shared.console import console
from shared.device import pick_device
from shared.errors import MediaError, NoFaceError, UsageError, storage_errors
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import CAPTURE, COMPOSITE_WITH_MODEL, Action, record_facts, sign_clip
from shared.sampling import runs_of
from shared.storage import replacing_folder, sha256_file
from shared.types import ClipId, ClipRecord, Frame, Timestamp
from shared.video import VideoReader
from shared.video.images import encode_png, pictures_in, read_picture

LIST = "frames.json"
_RATE = Fraction(25)


@dataclass(frozen=True)
class ImageSwapResult:
    """What :func:`swap_images` made: how many pictures, and the half-open ranges of those with a swapped face."""

    frames: int
    faked: tuple[tuple[int, int], ...]


class ImageFolderReader:
    """The pictures of a folder as the frames of a clip of 25 a second, in the order a person would count them.

    Raises:
        MediaError: the folder holds no picture; while reading, one that is damaged or of another size.
    """

    def __init__(self, folder: Path) -> None:
        self.paths = pictures_in(folder)

    def __enter__(self) -> ImageFolderReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def __iter__(self) -> Iterator[Frame]:
        shape: tuple[int, ...] | None = None
        for index, path in enumerate(self.paths):
            image = read_picture(path)
            shape = shape or image.shape
            if image.shape != shape:
                raise MediaError(
                    f"{path} is {image.shape[1]}x{image.shape[0]}, the first picture {shape[1]}x{shape[0]}",
                    hint="put pictures of one size into one folder",
                )
            yield Frame(index, Timestamp(index, 1 / _RATE), image)


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
    patches: Path | None = None,
) -> ImageSwapResult:
    """Puts the face of ``source`` into the pictures of ``target`` (a folder or a video) and writes them to ``out``.

    ``out`` appears whole, or not at all. The other arguments are those of :func:`forge.swapping.clip.swap_clip`.

    Raises:
        UsageError: an unknown source, settings the swapper cannot follow, or ``out`` holds something else.
        MediaError: a picture cannot be read.
        NoFaceError: no picture shows a face.
        CheckpointError: the swapper cannot be read.
        StorageError: the disk refused.
    """
    card = checked_card(swapper, source, config)
    person = target_identity or the_other(card, source)
    need_target_decoder(card, person, config, swapper)
    need_replaceable(out, LIST)
    try:
        clip = ClipId("frames", card.model, re.sub(r"[^A-Za-z0-9._+=@-]", "_", name or f"{target.stem}+{source}"))
    except ValueError as error:
        raise UsageError(str(error), hint="give the pictures a --name") from error
    device = pick_device(config.device, config.precision)
    predictor = SwapPredictor(load_swapper(swapper, device.torch_device), device, batch=config.batch)
    need_morph(predictor.spec, config)
    known = person if person in card.identities else None
    cast = Identities(source, known, make_enlarge(config.blend))
    finder = finder or make_finder(config.finder, device=str(device.torch_device), min_face_px=config.min_face_px)
    with _opened(target) as reader:
        declared = len(reader.paths) if isinstance(reader, ImageFolderReader) else reader.info.frames_declared
        plan = found_plan(reader, config, finder, device.kind, declared=declared, what=str(target))
    facts = _Facts(clip, source, person, rights or rights_of(person, card), card, config)
    with patch_writer(patches) as exported, replacing_folder(out) as draft, _opened(target) as reader:
        folder = _PictureFolder(draft, target, reader, facts)
        with console.progress("swapping", plan.frames, unit="pictures") as tick:
            jobs = align_faces(reader, plan, predictor.spec)
            for done in composite(stabilize_color(swap_faces(jobs, predictor, cast, config), config.temporal), config):
                folder.write(done)
                exported.write(done)
                tick(1)
        record = folder.finish(plan)
        exported.finish(record)
    return ImageSwapResult(record.frames, record.faked)


def _opened(target: Path) -> ImageFolderReader | VideoReader:
    return ImageFolderReader(target) if target.is_dir() else VideoReader(target)


@dataclass(frozen=True)
class _Facts:
    clip: ClipId
    source: str
    person: str
    rights: str
    card: SwapperCard
    config: SwapConfig

    def record(self, frames: int, size: tuple[int, int], faked: list[int], sha256: str) -> ClipRecord:
        return ClipRecord(
            id=self.clip,
            kind="swap",
            label="fake",
            path="frames",
            sha256=sha256,
            target_identity=self.person,
            rights=self.rights,
            frames=frames,
            width=size[0],
            height=size[1],
            codec="png",
            rendition="png",
            source_identity=self.source,
            faked=tuple(runs_of(faked)),
            swapper=digest_of(self.card),
            architecture=self.card.model,
            config=settings.digest(self.config),
            seed=self.config.seed,
            tool_version=shared.__version__,
            factors=setting_factors(self.config),
        )


class _PictureFolder:
    """Writes pictures and masks, signs each picture, and the list of them all."""

    def __init__(self, folder: Path, target: Path, reader: ImageFolderReader | VideoReader, facts: _Facts) -> None:
        self._folder, self._target, self._facts = folder, target, facts
        self._sources = reader.paths if isinstance(reader, ImageFolderReader) else None
        self._identity = SigningIdentity.load_or_create()
        self._files: dict[str, str] = {}
        self._faked: list[int] = []
        self._size = (0, 0)
        self._count = 0
        for name in ("frames", *(f"masks/{kind}" for kind in MASK_KINDS)):
            with storage_errors(folder):
                (folder / name).mkdir(parents=True)

    def write(self, done: CompositedFrame) -> None:
        index = done.frame.index
        stem = f"{index:08d}" if self._sources is None else self._sources[index].stem
        if f"frames/{stem}.png" in self._files:
            stem = f"{index:08d}-{stem}"  # a.jpg and a.png in one folder
        self._count += 1
        self._size = done.image.shape[1], done.image.shape[0]
        if done.masks.any_changed:
            self._faked.append(index)
        picture = self._put(f"frames/{stem}.png", done.image)
        self._sign(picture, done)
        self._files[f"frames/{stem}.png"] = sha256_file(picture)
        for kind in MASK_KINDS:
            path = self._put(f"masks/{kind}/{stem}.png", getattr(done.masks, kind))
            self._files[f"masks/{kind}/{stem}.png"] = sha256_file(path)

    def _put(self, name: str, picture: np.ndarray) -> Path:
        path = self._folder / name
        with storage_errors(path):
            path.write_bytes(encode_png(picture))
        return path

    def _sign(self, path: Path, done: CompositedFrame) -> None:
        """A picture that holds a swapped face says so; one that was passed through says that."""
        facts, fake = self._facts, done.masks.any_changed
        swapped = f"the face of {facts.person} was replaced by the face of {facts.source}, drawn by a trained model"
        action = Action("c2pa.edited", swapped) if fake else Action("c2pa.transcoded", "stored again, no pixel changed")
        record = facts.record(1, self._size, [0] if fake else [], sha256_file(path))
        about = record_facts(record) | ({} if fake else {"label": "real", "source_identity": None})
        sign_clip(
            path,
            self._identity,
            title=path.name,
            actions=[action],
            ingredient=None if self._sources is None else self._sources[done.frame.index],
            digital_source_type=COMPOSITE_WITH_MODEL if fake else CAPTURE,
            record=about,
        )

    def finish(self, plan: SwapPlan) -> ClipRecord:
        if not self._faked:
            raise NoFaceError(f"the swap changed no pixel of {self._target}", hint="look at the mask settings")
        record = self._facts.record(self._count, self._size, self._faked, next(iter(self._files.values())))
        labels = [asdict(label) for label in frame_labels(record.id, plan, set(self._faked))]
        rows = [{key: value for key, value in label.items() if key != "clip"} for label in labels]
        facts = {"clip": record_facts(record), "factors": record.factors, "labels": rows}
        write_signed(self._folder / LIST, facts, self._files)
        return record
