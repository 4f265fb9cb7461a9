"""The tasks of a build that make stills: generated faces, real faces cut from shots, and their files.

Both classes are kept without loss at the generator's side, then leave by one writer: enlarged, marked or not, encoded
by a chain, labelled, signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

import shared
from forge.building.encode import Ready, set_payload, write_ready
from forge.building.intermediates import PICTURES, read_facts, read_found, stored_frames
from forge.building.plan_parts import SELF
from forge.building.plan_stills import portrait_name, seed_name
from forge.building.tasks import GenerateTask, PortraitsTask, StillsTask, StillTask
from forge.generating.autoencode import autoencoded
from forge.generating.certificate import Certificate
from forge.generating.checkpoint import generator_digest, load_generator
from forge.generating.config import StillConfig
from forge.generating.contract import GeneratorSpec
from forge.generating.output import enlarged
from forge.generating.record import StillFacts, still_action, still_record
from forge.generating.stills import Sampler
from forge.models.checkpoint import load_swapper
from forge.swapping.people import people_of
from forge.swapping.record import UNSIGNED
from shared import config as settings
from shared.dataset import DatasetFolder
from shared.dataset.manifest import encode_record
from shared.device import with_threads
from shared.errors import ManifestError, storage_errors
from shared.faces.align import align, mean_in_crop
from shared.faces.boxes import box_around
from shared.marking.embed import MarkWriter
from shared.marking.files import picture_binding
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import Action, record_facts, source_type_of
from shared.sampling import evenly_spaced
from shared.storage import inside, replacing_folder, sha256_file, write_bytes, write_text
from shared.types import ClipRecord, Face, FrameLabel, Framing
from shared.video.images import encode_png, picture_info, read_picture
from shared.video.renditions import resized_picture

MADE = "made.json"
_LEAST_REDUCED = 1.2


@dataclass(frozen=True)
class MadeStill:
    """A still before it is written: factors of its records, or ``why`` there is none."""

    factors: dict[str, str] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class MadeStills:
    """The contents of ``made.json``, beside the pictures: stills by name, and the generator at whose side they are.

    Attributes:
        family, weights, rights: of the generator; rights: of the photographs that it was trained on.
        px, framing: of the pictures.
    """

    family: str
    weights: str
    rights: str
    px: int
    framing: Framing
    stills: dict[str, MadeStill]


def read_made_stills(folder: Path) -> MadeStills:
    """The contents of ``made.json``.

    Raises:
        ManifestError: it is missing or damaged.
    """
    return settings.load_json(MadeStills, folder / MADE, error=ManifestError, hint="remove that folder; it is rebuilt")


def generate_faces(task: GenerateTask) -> int:
    """Makes the faces of ``task``; returns how many are new by their certificates. Others leave the reason only.

    Raises:
        CheckpointError: the run holds no generator or no people to compare with.
        WeightsError, FinderError: the identity embedder is not installed.
        StorageError: writing failed.
    """
    stills: dict[str, MadeStill] = {}
    with replacing_folder(Path(task.out)) as draft, with_threads(1):
        sampler = Sampler(Path(task.run), StillConfig(truncation=task.truncation, px=0, device=task.device))
        for one, face, certificate in sampler.made(sampler.wanted(task.seeds)):
            name = seed_name(one.seed or 0)
            stills[name] = _generated(certificate)
            if certificate.new:
                write_bytes(draft / f"{name}.png", encode_png(face))
        rights = str(sampler.facts.get("rights", "unstated"))[:200]
        _write_made(draft, sampler.generator.spec, sampler.weights, rights, stills)
    return sum(not still.why for still in stills.values())


def _generated(certificate: Certificate) -> MadeStill:
    why = "" if certificate.new else "the face is too like a person of the generator's training"
    return MadeStill(certificate.facts(), why)


def cut_portraits(task: PortraitsTask) -> int:
    """Cuts faces of the person of a shot out of frames spaced over it; returns how many there are.

    Each is aligned as the generator's faces are and has their side; some are reduced and enlarged again. With a swapper
    each is there once more, through its encoder and decoder. A shot with fewer faces gives a reason for the others.

    Raises:
        CheckpointError: generator or swapper cannot be read.
        StorageError: writing failed.
    """
    run, shot = Path(task.run), Path(task.shot)
    spec, rights = _spec_of(run)
    swapper = None if task.swapper is None else load_swapper(Path(task.swapper))
    rng = np.random.default_rng(task.seed)
    drawn = [_reduction(rng, task.softened, task.softest) for _ in range(task.count)]
    stills: dict[str, MadeStill] = {}
    with replacing_folder(Path(task.out)) as draft, with_threads(1):
        for number, (frame, crop) in enumerate(_crops(shot, task.count, spec)):
            face = _softened(crop, drawn[number])
            factors = {"frame": str(frame)} | ({"softened": f"{drawn[number]:.2f}"} if drawn[number] > 1 else {})
            name = portrait_name(number)
            stills[name] = MadeStill(factors)
            write_bytes(draft / f"{name}.png", encode_png(face))
            if swapper is not None:
                stills[name + SELF] = MadeStill(factors | {"self": "yes"})
                write_bytes(draft / f"{name}{SELF}.png", encode_png(autoencoded(face[None], swapper)[0]))
        found = len(stills)
        for number in range(task.count):
            for name in (portrait_name(number), portrait_name(number) + SELF):
                stills.setdefault(name, MadeStill(why="its clip shows its person in too few frames"))
        _write_made(draft, spec, generator_digest(run), rights, stills)
    return found


def _crops(shot: Path, count: int, spec: GeneratorSpec) -> Iterator[tuple[int, np.ndarray]]:
    """Index and (px, px, 3) face of at most ``count`` frames that show the person with the largest face."""
    facts, found = read_facts(shot), read_found(shot)
    people = people_of(found, facts.same_distance)
    tracks = set(people[0]) if people else set[int | None]()
    shown: dict[int, Face] = {
        index: face for index, faces in found.faces.items() for face in faces if face.track in tracks
    }
    chosen = {sorted(shown)[place] for place in evenly_spaced(len(shown), count)}
    for frame in stored_frames(shot / PICTURES, facts.times):
        if frame.index in chosen:
            yield (
                frame.index,
                align(frame.image, shown[frame.index], px=spec.px, framing=spec.framing, frame=frame.index).crop,
            )


def _reduction(rng: np.random.Generator, share: float, most: float) -> float:
    """1 to leave a picture as it is, or up to ``most``."""
    return float(rng.uniform(_LEAST_REDUCED, most)) if rng.random() < share else 1.0


def _softened(face: np.ndarray, reduction: float) -> np.ndarray:
    side = len(face)
    small = max(8, round(side / reduction))
    return resized_picture(resized_picture(face, (small, small)), (side, side))


@lru_cache(maxsize=4)
def _spec_of(run: Path) -> tuple[GeneratorSpec, str]:
    generator, facts = load_generator(run)
    return generator.spec, str(facts.get("rights", "unstated"))[:200]


def _write_made(draft: Path, spec: GeneratorSpec, weights: str, rights: str, stills: dict[str, MadeStill]) -> None:
    made = MadeStills(spec.name, weights, rights, spec.px, spec.framing, stills)
    write_text(draft / MADE, json.dumps(asdict(made), sort_keys=True) + "\n")


def write_stills(task: StillsTask) -> int:
    """Encodes the stills of ``task`` and makes them ready to be listed; returns their number.

    Raises:
        ManifestError: what another task made is missing or damaged.
        ProvenanceError: signing failed.
        StorageError: writing failed.
    """
    made = read_made_stills(Path(task.made))
    with with_threads(1):
        writer = _StillWriter(task, made)
        for still in task.clips:
            known = made.stills.get(still.made, MadeStill(why="it was not made"))
            if known.why:
                write_ready(Path(task.work), still.id, Ready(still.recipe, why=known.why), [])
            else:
                writer.write(still, known)
    return len(task.clips)


class _StillWriter:
    """Runs one :class:`~forge.building.tasks.StillsTask`."""

    def __init__(self, task: StillsTask, made: MadeStills) -> None:
        self.task, self.made = task, made
        self.folder = DatasetFolder.open(Path(task.dataset))
        self.payload = set_payload(task.dataset_name) if task.mark else None
        self.signer = SigningIdentity.load_or_create()
        self.source_sha256 = sha256_file(Path(task.source_file)) if task.source_file else ""

    def write(self, still: StillTask, known: MadeStill) -> None:
        """Writes one still, signs it, and makes it ready."""
        task = self.task
        relative = self.folder.media_for(still.id, still.rendition.suffix)
        picture = enlarged(read_picture(Path(task.made) / f"{still.made}.png"), task.px)
        marked = picture if self.payload is None else MarkWriter(self.payload).mark(picture)
        data = still.rendition.encoded(marked)
        with self.folder.stage_media(relative) as draft:
            with storage_errors(draft):
                draft.write_bytes(data)
            info = picture_info(draft)
            record = self._record(still, known, relative, (info.width, info.height))
            content = sign_clip(
                draft,
                self.signer,
                title=Path(relative).name,
                actions=self._actions(still, record),
                ingredient=Path(task.source_file) if task.source_file else None,
                digital_source_type=source_type_of(record),
                record=record_facts(record) | (record.factors if record.label == "fake" else {}),
                bindings=[picture_binding(self.payload)] if self.payload else (),
            )
            record = replace(record, sha256=sha256_file(draft), content_sha256=content)
        size = inside(self.folder.path, relative).stat().st_size
        ready = Ready(still.recipe, encode_record(record).decode(), {relative: size})
        write_ready(Path(task.work), still.id, ready, self._labels(record))

    def _record(self, still: StillTask, known: MadeStill, relative: str, size: tuple[int, int]) -> ClipRecord:
        task, made = self.task, self.made
        factors = {
            "recipe": still.recipe[:16],
            "encoding": still.rendition.text,
            "made_px": str(made.px),
            **({"original_sha256": self.source_sha256} if self.source_sha256 else {}),
        }
        rights = task.rights or made.rights
        if still.id.manipulation is None:
            return ClipRecord(
                id=still.id,
                kind="real",
                label="real",
                path=relative,
                sha256=UNSIGNED,
                target_identity=still.person,
                rights=rights,
                frames=1,
                width=size[0],
                height=size[1],
                codec=still.rendition.format,
                rendition=still.rendition.name,
                config=settings.digest(still.rendition),
                parent=still.parent,
                tool_version=shared.__version__,
                factors=factors | known.factors,
            )
        facts = StillFacts(still.id.name, made.family, made.weights, size, made.px, rights, seed=still.seed)
        last = still.rendition.last
        config = StillConfig(truncation=task.truncation, px=task.px, format=last.format, quality=last.quality)
        record = still_record(facts, config)
        stated = record.factors | factors | known.factors
        if still.source is not None:
            del stated["truncation"]  # of a latent that is drawn; this one is encoded
        return replace(
            record,
            id=still.id,
            path=relative,
            target_identity=still.person,
            source_identity=still.source,
            rendition=still.rendition.name,
            parent=still.parent,
            factors=stated,
        )

    def _actions(self, still: StillTask, record: ClipRecord) -> Sequence[Action]:
        written = Action("c2pa.transcoded", f"written as {still.rendition.text}")
        if still.id.manipulation is None:
            return [Action("c2pa.transcoded", "a face cut from its clip as every still of its set is"), written]
        if still.source is None:
            return [still_action(record), written]
        through = Action(
            "c2pa.edited",
            "a filmed face encoded and decoded by a trained model",
            parameters={"manipulation": still.id.manipulation, "swapper": self.made.weights},
        )
        return [written, through]

    def _labels(self, record: ClipRecord) -> list[FrameLabel]:
        """The one row: the face lies where the framing puts every face, in both classes."""
        box = box_around(mean_in_crop(self.made.px, self.made.framing)).astype(np.float64)
        scale = (record.width / self.made.px, record.height / self.made.px)
        x0, y0, x1, y1 = (float(side * scale[place % 2]) for place, side in enumerate(box))
        return [FrameLabel(record.id, 0, 0, 0.0, record.label, 0, (x0, y0, x1, y1), x1 - x0)]
