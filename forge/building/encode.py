"""The last tasks of a build: encoding of a shot or master in all renditions in one pass, labels and signatures.

A finished clip has a record with its labels in the work folder, written last.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import shared
from forge.building.drives import DRIVE
from forge.building.intermediates import (
    LANDMARKS,
    PICTURES,
    ShotFacts,
    picture_of,
    read_faces,
    read_facts,
    stored_frames,
)
from forge.building.steps import Made, read_made
from forge.building.tasks import ClipTask, EncodeTask
from forge.models.checkpoint import read_card
from forge.reenacting.drive_table import drive_factors, drive_table_for, write_resized
from forge.reenacting.lipsync.checkpoint import load_lipsync_model
from forge.reenacting.record import reenact_action, reenact_record
from forge.reenacting.request import ReenactRequest
from forge.swapping.masks import MASK_KINDS
from forge.swapping.plan import SwapPlan
from forge.swapping.record import UNSIGNED, FileFacts, SwapOutcome, fake_record, frame_labels, swap_action
from forge.swapping.request import SwapRequest
from shared import config as settings
from shared.dataset import DatasetFolder
from shared.dataset.frame_table import write_frame_labels
from shared.dataset.held import TARGET_STILL
from shared.dataset.layout import DRIVE_TABLE, MASK_SUFFIX
from shared.dataset.manifest import decode_record, encode_record
from shared.device import with_threads
from shared.errors import ManifestError
from shared.marking.embed import MarkWriter
from shared.marking.files import picture_binding
from shared.marking.payload import Payload
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import Action, record_facts, source_type_of
from shared.storage import inside, sha256_file, write_text
from shared.types import ClipId, ClipRecord, Face, Frame, FrameLabel, Masks
from shared.video import Encoding, VideoWriter, frame_times, probe, read_mask_frames
from shared.video.container import suffix_of
from shared.video.renditions import Rendition, encode_all, resized_mask, suffix_for

READY = "ready"


class _Common(TypedDict):
    """The fields that requests of every kind have."""

    target: Path
    target_sha256: str
    clip: ClipId
    rendition: str
    target_identity: str
    rights: str
    parent: ClipId | None
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Ready:
    """A finished clip that is not yet listed, or the reason why there is none.

    Attributes:
        recipe: see :class:`~forge.building.tasks.ClipTask`.
        line: its manifest line; empty when there is no clip.
        sizes: size in bytes of each of its files, by path in the dataset.
        why: the reason.
    """

    recipe: str
    line: str = ""
    sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    why: str = ""

    @property
    def record(self) -> ClipRecord:
        """The record, without a split."""
        return decode_record(self.line.encode(), where="a clip that is ready")


def ready_path(work: Path, clip: ClipId) -> Path:
    """Path of the record of a finished clip; its labels are beside it, with the suffix ``.parquet``."""
    return work / READY / f"{hashlib.sha256(str(clip).encode()).hexdigest()[:32]}.json"


def read_ready(work: Path, clip: ClipId) -> Ready | None:
    """The record of the finished ``clip``; None if there is none or it is damaged."""
    try:
        return settings.load_json(Ready, ready_path(work, clip), error=ManifestError)
    except ManifestError:
        return None


def is_ready(work: Path, dataset: Path, clip: ClipId, recipe: str) -> bool:
    """Whether ``clip`` was made by ``recipe`` and its files exist with the recorded sizes."""
    found = read_ready(work, clip)
    if found is None or found.recipe != recipe:
        return False
    return all(
        (dataset / relative).is_file() and (dataset / relative).stat().st_size == size
        for relative, size in found.sizes.items()
    )


def encode_clips(task: EncodeTask) -> int:
    """Encodes the clips of ``task`` and makes them ready to be listed; returns their number.

    Raises:
        MediaError: an encoder refuses the frames, or a container the sound.
        ProvenanceError: signing failed.
        StorageError: writing failed.
    """
    made = read_made(Path(task.master)) if task.master else Made(())
    if made.why:
        for clip in task.clips:
            write_ready(Path(task.work), clip.id, Ready(clip.recipe, why=made.why), [])
        return 0
    with with_threads(1):
        encoded = [clip for clip in task.clips if clip.rendition is not None]
        if encoded:
            _Encoder(task, made).run(encoded)
        for clip in task.clips:
            if clip.rendition is None:
                _Encoder(task, made).copy(clip)
    if task.drop_master and task.master:
        (Path(task.master) / PICTURES).unlink(missing_ok=True)
    return len(task.clips)


def set_payload(dataset: str) -> Payload:
    """The mark of a set: one in real clips and fakes alike."""
    return Payload.of("set", hashlib.sha256(dataset.encode()).hexdigest())


class _Encoder:
    """Runs one :class:`~forge.building.tasks.EncodeTask`."""

    def __init__(self, task: EncodeTask, made: Made) -> None:
        self.task = task
        self.made = made
        self.folder = DatasetFolder.open(Path(task.dataset))
        timed = Path(task.master if task.held and task.master else task.shot)  # a still gets its times with its drive
        self.facts, self.picture = read_facts(timed), picture_of(timed)
        self.faces = read_faces(Path(task.master or task.shot) / LANDMARKS)
        if made.sound is not None and task.master is not None:
            self.picture = dataclasses.replace(self.picture, sound=Path(task.master) / made.sound)
        self.payload = set_payload(task.dataset_name) if task.mark else None
        self.signer = SigningIdentity.load_or_create()

    def run(self, clips: Sequence[ClipTask]) -> None:
        """Encodes all ``clips`` in one pass over the frames, then labels and signs them one by one."""
        source = Path(self.task.master or self.task.shot) / PICTURES
        paths = {
            clip.id: self.folder.media_for(clip.id, suffix_for(_known(clip).encoding, self.picture.sound))
            for clip in clips
        }
        masks = {clip.id: self._masks(clip) for clip in clips} if self.task.master else {}
        with ExitStack() as stack:
            drafts = {clip.id: stack.enter_context(self.folder.stage_media(paths[clip.id])) for clip in clips}
            outs = [(_known(clip), drafts[clip.id]) for clip in clips]
            encode_all(self._marked(stored_frames(source, self.facts.times)), self.picture, outs)
            records = [self._signed(clip, drafts[clip.id], paths[clip.id], masks.get(clip.id)) for clip in clips]
        for clip, record in zip(clips, records, strict=True):
            self._ready(clip, record, self._labels(record, self.facts, self.faces))

    def _marked(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames with the mark of the set, the same in real clips and fakes, if it has one."""
        writer = MarkWriter(self.payload) if self.payload else None
        for frame in frames:
            yield frame if writer is None else dataclasses.replace(frame, image=writer.mark(frame.image))

    def copy(self, clip: ClipTask) -> None:
        """Copies the source file unchanged, for sets without controls."""
        source = Path(self.task.source_file)
        relative = self.folder.media_for(clip.id, suffix_of(source))
        with self.folder.stage_media(relative) as draft:
            shutil.copyfile(source, draft)
            times = frame_times(draft)
            record = self._signed(clip, draft, relative, None, frames=len(times))
        whole = dataclasses.replace(
            self.facts, pts=tuple(time.pts for time in times), time_base=probe(source).time_base
        )
        shifted = {index + self.facts.start: faces for index, faces in self.faces.items()}
        self._ready(clip, record, self._labels(record, whole, shifted))

    def _signed(
        self, clip: ClipTask, draft: Path, relative: str, masks: Masks | None, *, frames: int | None = None
    ) -> ClipRecord:
        request = self._request(clip)
        record = self._record(clip, request, draft, relative, masks, frames or len(self.facts.pts))
        content = sign_clip(
            draft,
            self.signer,
            title=Path(relative).name,
            actions=self._actions(clip, request),
            ingredient=Path(self.task.source_file),
            digital_source_type=source_type_of(record),
            record=record_facts(record),
            bindings=[picture_binding(self.payload)] if self.payload else (),
        )
        return dataclasses.replace(record, sha256=sha256_file(draft), content_sha256=content)

    def _actions(self, clip: ClipTask, request: SwapRequest | ReenactRequest | None) -> list[Action]:
        actions = [Action("c2pa.transcoded", "cut and decoded as every clip of its set is")]
        if request is not None:
            swapped = isinstance(request, SwapRequest)
            actions.append(swap_action(request) if swapped else reenact_action(request))
        if clip.rendition is None:
            return [Action("c2pa.published", "the source file as it is")]
        steps = [*clip.rendition.through, clip.rendition]
        return [*actions, *(Action("c2pa.transcoded", f"encoded as {described(step)}") for step in steps)]

    def _request(self, clip: ClipTask) -> SwapRequest | ReenactRequest | None:
        """What a fake was made of, as it stands in its record; None for a real clip."""
        task = self.task
        if task.source is None:
            return None
        swapper = None if task.swapper is None else Path(task.swapper)
        card = None if swapper is None else read_card(swapper)
        common: _Common = {
            "target": Path(task.source_file),
            "target_sha256": self.facts.source_sha256,
            "clip": clip.id,
            "rendition": _known(clip).name,
            "target_identity": self._target(),
            "rights": task.rights,
            "parent": clip.parent,
            "notes": {TARGET_STILL: task.held} if task.held else {},
        }
        if task.driver is not None:
            drive, sha256, config = Path(task.driver.file), task.driver.sha256, task.driver.config
            return ReenactRequest(
                **common, drive=drive, drive_sha256=sha256, driver_identity=task.source, config=config,
                swapper=swapper, card=card,
                lipsync_sha256=load_lipsync_model().weights_sha256 if config.family == "lipsync" else None,
                network_sha256=task.driver.network_sha256,
            )  # fmt: skip
        assert swapper is not None
        assert card is not None
        assert task.config is not None
        return SwapRequest(**common, source=task.source, swapper=swapper, card=card, config=task.config)

    def _record(
        self, clip: ClipTask, request: SwapRequest | ReenactRequest | None, draft: Path, relative: str,
        masks: Masks | None, frames: int,
    ) -> ClipRecord:  # fmt: skip
        info, finder = probe(draft), self.facts.finder
        factors = {"recipe": clip.recipe[:16], **dict(clip.factors), **self.facts.notes}
        factors["encoding"] = encoding_text(clip.rendition)
        if request is not None:
            outcome = SwapOutcome(list(self.made.faked), self.made.alpha_instead)
            made: FileFacts = {
                "finder": finder,
                "path": relative,
                "frames": frames,
                "size": (info.width, info.height),
                "codec": info.codec,
                "masks": masks,
                "factors": factors | {"face": self.made.face} | self.made.factors | self._drive(clip),
            }
            if isinstance(request, ReenactRequest):
                return reenact_record(request, outcome, made)
            return fake_record(request, outcome, **made)
        return ClipRecord(
            id=clip.id,
            kind="real",
            label="real",
            path=relative,
            sha256=UNSIGNED,
            target_identity=self._target(),
            rights=self.task.rights,
            frames=frames,
            width=info.width,
            height=info.height,
            codec=info.codec,
            rendition=clip.rendition.name if clip.rendition else "original",
            config=settings.digest(clip.rendition or Encoding()),
            parent=clip.parent,
            tool_version=shared.__version__,
            factors=factors | {"original_sha256": self.facts.source_sha256, "finder": finder},
        )

    def _labels(self, record: ClipRecord, facts: ShotFacts, faces: Mapping[int, tuple[Face, ...]]) -> list[FrameLabel]:
        """Of every frame, boxes in the pixels of the clip."""
        plan = SwapPlan(tuple(facts.times), faces, self.made.chosen)
        scale = record.width / self.picture.width, record.height / self.picture.height
        return frame_labels(record.id, plan, set(self.made.faked), scale=scale, every_face=bool(self.task.held))

    def _target(self) -> str:
        """The target identity: of several people in a clip, the one of that rank by area."""
        people = self.task.people
        return people[self.made.rank] if self.made.rank < len(people) else people[0]

    def _masks(self, clip: ClipTask) -> Masks:
        """The masks at the size of the clip; one set of files for all clips of one size."""
        size = self.picture.at(_known(clip).size)
        full = size == (self.picture.width, self.picture.height)
        stem = clip.mask_stem if full else f"{clip.mask_stem}.{size[0]}x{size[1]}"
        relative = {kind: f"{stem}.{kind}{MASK_SUFFIX}" for kind in MASK_KINDS}
        digests = [
            self._place_mask(Path(str(self.task.master)) / f"{kind}.mkv", relative[kind], kind, None if full else size)
            for kind in MASK_KINDS
        ]
        return Masks(relative["alpha"], relative["changed"], relative["region"], (digests[0], digests[1], digests[2]))

    def _place_mask(self, master: Path, relative: str, kind: str, size: tuple[int, int] | None) -> str:
        """Writes the mask and returns its digest. Equal masters give equal bytes, so rewriting changes nothing."""
        with self.folder.stage_media(relative, shared=True) as draft:
            if size is None:
                shutil.copyfile(master, draft)
            else:
                _resize_mask(master, draft, self.facts, size, binary=kind == "changed")
            return sha256_file(draft)

    def _drive(self, clip: ClipTask) -> dict[str, str]:
        """Puts the drive of a re-enactment beside its masks; how its record names it. Clips of one size share it."""
        if self.task.driver is None:
            return {}
        size = self.picture.at(_known(clip).size)
        full = size == (self.picture.width, self.picture.height)
        name = Path(clip.mask_stem).name + ("" if full else f".{size[0]}x{size[1]}")
        relative, master = drive_table_for(clip.id, name), Path(str(self.task.master)) / DRIVE
        with self.folder.stage_media(relative, shared=True) as draft:
            if full:
                shutil.copyfile(master, draft)
            else:
                write_resized(draft, master, (size[0] / self.picture.width, size[1] / self.picture.height))
            return drive_factors(relative, draft)

    def _ready(self, clip: ClipTask, record: ClipRecord, labels: Sequence[FrameLabel]) -> None:
        media = inside(self.folder.path, record.path)
        beside = media.with_suffix(".c2pa")
        names = [record.path, *(record.masks.paths.values() if record.masks else ())]
        names += [path for name, path in record.factors.items() if name == DRIVE_TABLE]
        if beside.is_file():
            names.append(beside.relative_to(self.folder.path).as_posix())
        sizes = {name: inside(self.folder.path, name).stat().st_size for name in names}
        ready = Ready(clip.recipe, encode_record(record).decode(), sizes)
        write_ready(Path(self.task.work), clip.id, ready, labels)


def described(step: Rendition) -> str:
    """An encode as text: ``240-h264-crf30``."""
    return step.encoding.name if step.size is None else f"{step.size}-{step.encoding.name}"


def encoding_text(rendition: Rendition | None) -> str:
    """All encodes of a rendition, first to last: ``240-h264-crf30 > h264-crf26``."""
    if rendition is None:
        return "original"
    return " > ".join(described(step) for step in (*rendition.through, rendition))


def _resize_mask(master: Path, out: Path, facts: ShotFacts, size: tuple[int, int], *, binary: bool) -> None:
    with VideoWriter(
        out,
        width=size[0],
        height=size[1],
        time_base=facts.time_base,
        frame_rate=facts.frame_rate,
        encoding=Encoding.lossless_mask(),
    ) as writer:
        for mask, time in zip(read_mask_frames(master), facts.times, strict=True):
            writer.write(resized_mask(mask, size, binary=binary), time)


def _known(clip: ClipTask) -> Rendition:
    assert clip.rendition is not None
    return clip.rendition


def write_ready(work: Path, clip: ClipId, ready: Ready, labels: Sequence[FrameLabel]) -> None:
    """Writes the record of a finished clip, after its labels."""
    path = ready_path(work, clip)
    if labels:
        write_frame_labels(path.with_suffix(".parquet"), labels)
    write_text(path, json.dumps(settings.to_mapping(ready), sort_keys=True) + "\n")
