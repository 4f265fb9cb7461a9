"""The last tasks of a build: a shot or a master in every rendition, in one pass, labelled and signed, ready to list.

What is ready waits in the work folder as a record with its labels, written last; a clip without one was not finished.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import shared
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
from forge.models.checkpoint import digest_of, read_card
from forge.swapping.config import setting_factors
from forge.swapping.masks import MASK_KINDS
from shared import config as settings
from shared.dataset import DatasetFolder
from shared.dataset.layout import MASK_SUFFIX
from shared.dataset.manifest import decode_record, encode_record, write_frame_labels
from shared.device import with_threads
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import Action, record_facts, sign_clip, source_type_of
from shared.sampling import runs_of
from shared.storage import inside, replacing, sha256_file, write_text
from shared.types import ClipId, ClipRecord, Face, FrameLabel, Masks
from shared.video import Encoding, VideoWriter, frame_times, probe, read_mask_frames
from shared.video.container import suffix_of
from shared.video.renditions import Picture, Rendition, encode_all, resized_mask, suffix_for

READY = "ready"
_UNSIGNED = "0" * 64


@dataclass(frozen=True)
class Ready:
    """A clip that waits to be listed, or the reason why there is none.

    Attributes:
        recipe: see :class:`~forge.building.tasks.ClipTask`.
        line: its manifest line; empty when nothing could be made.
        sizes: path inside the dataset to size in bytes of each of its files.
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
    """Where the record of a clip waits; its labels lie beside it, with the suffix ``.parquet``."""
    return work / READY / f"{hashlib.sha256(str(clip).encode()).hexdigest()[:32]}.json"


def read_ready(work: Path, clip: ClipId) -> Ready | None:
    """What waits for ``clip``; None when nothing does, or what does is damaged and has to be made again."""
    try:
        return settings.from_mapping(Ready, json.loads(ready_path(work, clip).read_text(encoding="utf-8")))
    except (OSError, ValueError, settings.ConfigError):
        return None


def is_ready(work: Path, dataset: Path, clip: ClipId, recipe: str) -> bool:
    """Whether ``clip`` was made by ``recipe`` and its files are in place, as far as their sizes tell."""
    found = read_ready(work, clip)
    if found is None or found.recipe != recipe:
        return False
    return all(
        (dataset / relative).is_file() and (dataset / relative).stat().st_size == size
        for relative, size in found.sizes.items()
    )


def encode_clips(order: EncodeTask) -> int:
    """Makes the clips of ``order`` ready to be listed; how many were made.

    Raises:
        MediaError: an encoder refuses the pictures, or a container the sound.
        ProvenanceError: signing failed.
        StorageError: the disk refused.
    """
    made = read_made(Path(order.master)) if order.master else Made(())
    if made.why:
        for clip in order.clips:
            _write_ready(Path(order.work), clip.id, Ready(clip.recipe, why=made.why), [])
        return 0
    with with_threads(1):
        encoded = [clip for clip in order.clips if clip.rendition is not None]
        if encoded:
            _Encoder(order, made).run(encoded)
        for clip in order.clips:
            if clip.rendition is None:
                _Encoder(order, made).copy(clip)
    if order.drop_master and order.master:
        (Path(order.master) / PICTURES).unlink(missing_ok=True)
    return len(order.clips)


class _Encoder:
    """One order being carried out."""

    def __init__(self, order: EncodeTask, made: Made) -> None:
        self.order = order
        self.made = made
        self.folder = DatasetFolder.open(Path(order.dataset))
        self.facts = read_facts(Path(order.shot))
        self.faces = read_faces(Path(order.shot) / LANDMARKS)
        self.picture = picture_of(Path(order.shot))
        self.signer = SigningIdentity.load_or_create()

    def run(self, clips: Sequence[ClipTask]) -> None:
        """Encodes all ``clips`` in one pass over the frames, then labels and signs them one by one."""
        source = Path(self.order.master or self.order.shot) / PICTURES
        paths = {clip.id: self.folder.media_for(clip.id, suffix_for(_known(clip), self.picture)) for clip in clips}
        masks = {clip.id: self._masks(clip) for clip in clips} if self.order.master else {}
        with ExitStack() as stack:
            drafts = {clip.id: stack.enter_context(self.folder.stage_media(paths[clip.id])) for clip in clips}
            outs = [(_known(clip), drafts[clip.id]) for clip in clips]
            encode_all(stored_frames(source, self.facts.times), self.picture, outs)
            records = [self._signed(clip, drafts[clip.id], paths[clip.id], masks.get(clip.id)) for clip in clips]
        for clip, record in zip(clips, records, strict=True):
            labels = list(face_labels(record, self.facts, self.faces, self.made, self.picture))
            self._ready(clip, record, labels)

    def copy(self, clip: ClipTask) -> None:
        """Takes the source file as it is: for sets without controls."""
        source = Path(self.order.source_file)
        relative = self.folder.media_for(clip.id, suffix_of(source))
        with self.folder.stage_media(relative) as draft:
            shutil.copyfile(source, draft)
            times = frame_times(draft)
            record = self._signed(clip, draft, relative, None, frames=len(times))
        whole = dataclasses.replace(
            self.facts, pts=tuple(time.pts for time in times), time_base=probe(source).time_base
        )
        shifted = {index + self.facts.start: faces for index, faces in self.faces.items()}
        self._ready(clip, record, list(face_labels(record, whole, shifted, self.made, self.picture)))

    def _signed(
        self, clip: ClipTask, draft: Path, relative: str, masks: Masks | None, *, frames: int | None = None
    ) -> ClipRecord:
        record = self._record(clip, draft, relative, masks, frames or len(self.facts.pts))
        content = sign_clip(
            draft,
            self.signer,
            title=Path(relative).name,
            actions=self._actions(clip),
            ingredient=Path(self.order.source_file),
            digital_source_type=source_type_of(record),
            record=record_facts(record),
        )
        return dataclasses.replace(record, sha256=sha256_file(draft), content_sha256=content)

    def _actions(self, clip: ClipTask) -> list[Action]:
        order = self.order
        actions = [Action("c2pa.transcoded", "cut and decoded as every clip of its set is")]
        if order.master and order.swapper:
            what = f"the face of {self._target()} was replaced by the face of {order.source}, drawn by a trained model"
            parameters = {
                "manipulation": str(clip.id.manipulation),
                "swapper": digest_of(read_card(Path(order.swapper))),
            }
            actions.append(Action("c2pa.edited", what, parameters=parameters))
        if clip.rendition is None:
            return [Action("c2pa.published", "the source file as it is")]
        steps = [*clip.rendition.through, clip.rendition]
        return [*actions, *(Action("c2pa.transcoded", f"encoded as {described(step)}") for step in steps)]

    def _record(self, clip: ClipTask, draft: Path, relative: str, masks: Masks | None, frames: int) -> ClipRecord:
        order, info = self.order, probe(draft)
        fake = order.master is not None
        card = read_card(Path(order.swapper)) if order.swapper else None
        factors = {"recipe": clip.recipe[:16], "source_sha256": self.facts.source_sha256, **dict(clip.factors)}
        factors["target_sha256" if fake else "original_sha256"] = factors.pop("source_sha256")
        factors |= self.facts.notes | {"finder": self.facts.finder, "encoding": encoding_text(clip.rendition)}
        if fake and order.config is not None:
            factors |= setting_factors(order.config) | {"face": self.made.face}
            if self.made.alpha_instead:
                factors["poisson_fallbacks"] = str(self.made.alpha_instead)
        return ClipRecord(
            id=clip.id,
            kind="swap" if fake else "real",
            label="fake" if fake else "real",
            path=relative,
            sha256=_UNSIGNED,
            target_identity=self._target(),
            rights=order.rights,
            frames=frames,
            width=info.width,
            height=info.height,
            codec=info.codec,
            rendition=clip.rendition.name if clip.rendition else "original",
            source_identity=order.source if fake else None,
            faked=tuple(runs_of(list(self.made.faked))),
            masks=masks,
            swapper=digest_of(card) if card else None,
            architecture=card.model if card else None,
            config=settings.digest(order.config) if order.config else settings.digest(clip.rendition or Encoding()),
            seed=order.config.seed if order.config else None,
            parent=clip.parent,
            tool_version=shared.__version__,
            factors=factors,
        )

    def _target(self) -> str:
        """Whose face was replaced: of several people in a clip, the one of that rank by area."""
        people = self.order.people
        return people[self.made.rank] if self.made.rank < len(people) else people[0]

    def _masks(self, clip: ClipTask) -> Masks:
        """The masks at the size of the clip, in place; one set of files for all clips of one size."""
        size = self.picture.at(_known(clip).size)
        full = size == (self.picture.width, self.picture.height)
        stem = clip.mask_stem if full else f"{clip.mask_stem}.{size[0]}x{size[1]}"
        relative = {kind: f"{stem}.{kind}{MASK_SUFFIX}" for kind in MASK_KINDS}
        digests = [
            self._place_mask(Path(str(self.order.master)) / f"{kind}.mkv", relative[kind], kind, None if full else size)
            for kind in MASK_KINDS
        ]
        return Masks(relative["alpha"], relative["changed"], relative["region"], (digests[0], digests[1], digests[2]))

    def _place_mask(self, master: Path, relative: str, kind: str, size: tuple[int, int] | None) -> str:
        """Equal masters give equal bytes, so writing what is there already changes nothing; gives the digest."""
        final = inside(self.folder.path, relative)
        with replacing(final) as draft:
            if size is None:
                shutil.copyfile(master, draft)
            else:
                _resize_mask(master, draft, self.facts, size, binary=kind == "changed")
        return sha256_file(final)

    def _ready(self, clip: ClipTask, record: ClipRecord, labels: Sequence[FrameLabel]) -> None:
        media = inside(self.folder.path, record.path)
        beside = media.with_suffix(".c2pa")
        names = [record.path, *(record.masks.paths.values() if record.masks else ())]
        if beside.is_file():
            names.append(beside.relative_to(self.folder.path).as_posix())
        sizes = {name: inside(self.folder.path, name).stat().st_size for name in names}
        ready = Ready(clip.recipe, encode_record(record).decode(), sizes)
        _write_ready(Path(self.order.work), clip.id, ready, labels)


def face_labels(
    record: ClipRecord,
    facts: ShotFacts,
    faces: Mapping[int, Sequence[Face]],
    made: Made,
    picture: Picture,
) -> Iterator[FrameLabel]:
    """A row for every face of every frame, in the pixels of the clip, and for every frame without one.

    Only a forged face is fake: untouched frames of a fake, and other people in its forged frames, are real.
    """
    faked = set(made.faked)
    scale_x, scale_y = record.width / picture.width, record.height / picture.height
    for index, time in enumerate(facts.times):
        for face in faces.get(index) or (None,):
            fake = face is not None and index in faked and face.track in made.chosen
            box = None if face is None else [float(side) for side in face.box]
            yield FrameLabel(
                clip=record.id,
                frame=index,
                pts=time.pts,
                seconds=time.seconds,
                label="fake" if fake else "real",
                track=face.track if face else None,
                box=None
                if box is None
                else (
                    (box[0] + 0.5) * scale_x - 0.5,
                    (box[1] + 0.5) * scale_y - 0.5,
                    (box[2] + 0.5) * scale_x - 0.5,
                    (box[3] + 0.5) * scale_y - 0.5,
                ),
                face_px=face.width_px * scale_x if face else None,
            )


def described(step: Rendition) -> str:
    """An encode in words: ``240-h264-crf30``."""
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


def _write_ready(work: Path, clip: ClipId, ready: Ready, labels: Sequence[FrameLabel]) -> None:
    path = ready_path(work, clip)
    if labels:
        write_frame_labels(path.with_suffix(".parquet"), labels)
    write_text(path, json.dumps(settings.to_mapping(ready), sort_keys=True) + "\n")
