"""Detection rate and false alarms of ``verify`` on tampered and unmodified sets.

Sets are small and synthetic: procedural actors are filmed once, and each set samples from them, by its seed, people,
swaps, forged frames, container (in mp4 the C2PA manifest is in the file, for mkv it is a separate file) and splits. The
forged part of a frame is an oval of the other actor's image, so masks, pixels and labels are consistent as in a real
set. All of it is signed and sealed.

Every set is verified unmodified and must have no finding. Then it is tampered with in one of seven ways, in turn, at a
random place, and the finding must name the file or clip and the correct reason.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.schema import Measurement
from shared.actors import Actor, portrait
from shared.dataset import DatasetFolder, Problem, add_real_clip, verify_dataset
from shared.dataset.layout import MANIFEST, SEAL
from shared.dataset.manifest import read_manifest, write_manifest
from shared.errors import AssayError, ManifestError
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import Action, record_facts, source_type_of
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord, FrameLabel, Timestamp
from shared.video import Encoding, VideoWriter

PX = 64
LENGTH = 6
_PEOPLE = 6
_ENCODING = Encoding(preset="ultrafast", crf=20)
_BASE = Fraction(1, 25)


@dataclass(frozen=True, eq=False)
class Stage:
    """The actors' images, (N, 64, 64, 3) uint8, and a clip of each."""

    pictures: np.ndarray
    clips: tuple[Path, ...]


@dataclass(frozen=True)
class Outcome:
    """Result of one set: false alarms on the unmodified set, and whether its tampering was found."""

    seed: int
    kind: str
    accused: tuple[str, ...]
    found: bool
    said: tuple[str, ...]


Tamper = Callable[[DatasetFolder, np.random.Generator], str]
"""Tampers with a set; returns what a finding must name: a file or a clip."""


def run(sets: int, *, start: int = 0, tick: Callable[[], object] | None = None) -> list[Outcome]:
    """One outcome per set, seeds from ``start`` on."""
    with TemporaryDirectory() as place:
        stage = make_stage(Path(place))
        outcomes = []
        for seed in range(start, start + sets):
            outcomes.append(_outcome(Path(place) / f"set-{seed}", stage, seed))
            shutil.rmtree(Path(place) / f"set-{seed}")
            if tick is not None:
                tick()
    return outcomes


def measurements(outcomes: list[Outcome]) -> list[Measurement]:
    """False alarms on unmodified sets, and the share found of each kind of tampering."""
    accused = sum(bool(outcome.accused) for outcome in outcomes)
    note = f"of {len(outcomes)}"
    found = [Measurement.of("untouched sets accused", "sets", [accused], target=0, better="lower", note=note)]
    kinds = Counter(outcome.kind for outcome in outcomes)
    for kind, count in kinds.items():
        hits = sum(outcome.found for outcome in outcomes if outcome.kind == kind)
        found.append(Measurement.of(f"found: {kind}", "share", [hits / count], target=1.0, note=f"{hits} of {count}"))
    return found


def make_stage(folder: Path) -> Stage:
    """Renders the actors with slight motion."""
    pictures = np.stack([portrait(Actor.from_seed(seed), px=PX, seed=seed).image for seed in range(_PEOPLE)])
    clips = []
    for number, picture in enumerate(pictures):
        path = folder / f"actor-{number}.mp4"
        write_clip(path, [_moved(picture, frame) for frame in range(LENGTH)], _ENCODING)
        clips.append(path)
    return Stage(pictures, tuple(clips))


def make_set(folder: Path, stage: Stage, seed: int) -> DatasetFolder:
    """A sealed set of two pairs of actors, each with one fake or two."""
    rng = np.random.default_rng([seed, 0])
    dataset = DatasetFolder.init(folder, f"set-{seed}")
    people = rng.permutation(_PEOPLE)[:4]
    encoding = dataclasses.replace(_ENCODING, container=".mkv" if rng.random() < 0.3 else ".mp4")
    with dataset.batch():
        reals = {}
        for person in people:
            clip = stage.clips[person]
            reals[int(person)] = _add_real(dataset, clip, f"actor-{person}", encoding)
        for first, second in (people[:2], people[2:]):
            _add_fake(dataset, stage, int(first), int(second), reals[int(second)], encoding, rng)
            if rng.random() < 0.5:
                _add_fake(dataset, stage, int(second), int(first), reals[int(first)], encoding, rng)
    dataset.assign_splits((0.5, 0.0, 0.5), seed=seed)
    return dataset


def _outcome(folder: Path, stage: Stage, seed: int) -> Outcome:
    dataset = make_set(folder, stage, seed)
    accused = tuple(str(problem) for problem in verify_dataset(folder))
    kind = list(TAMPERINGS)[seed % len(TAMPERINGS)]
    wanted = TAMPERINGS[kind](dataset, np.random.default_rng([seed, 1]))
    try:
        problems = [problem for problem in verify_dataset(folder) if problem.severity == "error"]
    except AssayError as error:
        problems = [Problem("manifest", str(error))]
    said = tuple(str(problem) for problem in problems)
    return Outcome(seed, kind, accused, any(wanted in text for text in said), said)


def flip_byte(dataset: DatasetFolder, rng: np.random.Generator) -> str:
    """Flips one bit of a random sealed file: clips, masks, manifests beside clips, tables, settings, card, seal."""
    files = sorted(path for path in dataset.path.rglob("*") if path.is_file() and path.name != ".lock")
    path = files[rng.integers(len(files))]
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    return _named(dataset, path)


def swap_label(dataset: DatasetFolder, rng: np.random.Generator) -> str:
    """Lists a fake as real, with the fields of a fake removed from its line."""
    fake = _choose(dataset, rng, "fake")
    identity = dataclasses.replace(fake.id, manipulation=None)
    line = {"id": str(identity), "kind": "real", "label": "real", "source_identity": None, "faked": [], "masks": None}
    _edit(dataset, fake.id, line)
    return f"{identity}: label is listed as 'real' and signed as 'fake'"


def remove_line(dataset: DatasetFolder, rng: np.random.Generator) -> str:
    """Removes a random line."""
    gone = _choose(dataset, rng)
    write_manifest(dataset.path / MANIFEST, [record for record in _lines(dataset) if record.id != gone.id])
    return f"{gone.id}: its line was removed"


def add_clip(dataset: DatasetFolder, rng: np.random.Generator) -> str:
    """Adds a copy of a clip under a new name, with a valid line."""
    copied = _choose(dataset, rng, "real")
    new = dataclasses.replace(copied.id, name="guest")
    path = Path(copied.path).with_name(f"guest{Path(copied.path).suffix}").as_posix()
    shutil.copy(dataset.path / copied.path, dataset.path / path)
    write_manifest(dataset.path / MANIFEST, [*_lines(dataset), dataclasses.replace(copied, id=new, path=path)])
    return f"{new}: was added and is not sealed"


def move_split(dataset: DatasetFolder, rng: np.random.Generator) -> str:
    """Moves a random clip to the other split."""
    moved = _choose(dataset, rng)
    _edit(dataset, moved.id, {"split": "train" if moved.split == "test" else "test"})
    return f"{moved.id}: its line was changed"


def replace_mask(dataset: DatasetFolder, rng: np.random.Generator) -> str:
    """Replaces a mask of a fake by a valid one of the same length; in half of the cases with its digest in the line."""
    fake = _choose(dataset, rng, "fake")
    path = dataset.mask_paths(fake)[("alpha", "changed", "region")[rng.integers(3)]]
    box = np.zeros((PX, PX), np.uint8)
    box[8:56, 8:56] = 255
    inside = [any(start <= frame < stop for start, stop in fake.faked) for frame in range(LENGTH)]
    write_clip(path, [box * np.uint8(forged) for forged in inside], Encoding.lossless_mask())
    if rng.random() < 0.5 or fake.masks is None:
        return f"{fake.id}: {path.relative_to(dataset.path).as_posix()} has other bytes"
    digests = [sha256_file(dataset.path / relative) for relative in fake.masks.paths.values()]
    _edit(dataset, fake.id, {"masks": {**fake.masks.paths, "sha256": digests}})
    return f"{fake.id}: masks_sha256 is listed as"


def edit_signature(dataset: DatasetFolder, rng: np.random.Generator) -> str:
    """Edits the seal's statement or signature, or the statement signed into a clip."""
    which = int(rng.integers(3))
    seal = dataset.path / SEAL
    if which == 2:
        record = _choose(dataset, rng, "fake")
        media = dataset.path / record.path
        holder = media if media.suffix == ".mp4" else media.with_suffix(".c2pa")
        data = holder.read_bytes()
        # In CBOR: the text "label" of five letters, then the text "fake" of four.
        edited = data.replace(b"elabeldfake", b"elabeldreal")
        if edited == data:
            raise ManifestError(f"{holder} holds no statement to edit", hint="a fault of this benchmark")
        holder.write_bytes(edited)
        return str(record.id)
    plain = json.loads(seal.read_text(encoding="utf-8"))
    if which == 1:
        clips = plain["statement"]["clips"]
        clips[sorted(clips)[0]] = "0" * 64
    else:
        signature = plain["signature"]
        plain["signature"] = signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
    seal.write_text(json.dumps(plain), encoding="utf-8")
    return SEAL


TAMPERINGS: dict[str, Tamper] = {
    "a flipped byte": flip_byte,
    "a swapped label": swap_label,
    "a removed line": remove_line,
    "an added clip": add_clip,
    "a moved split": move_split,
    "a replaced mask": replace_mask,
    "an edited signature": edit_signature,
}


def _named(dataset: DatasetFolder, path: Path) -> str:
    """What a finding about this file must name."""
    relative = path.relative_to(dataset.path).as_posix()
    return MANIFEST if relative == MANIFEST and not _readable(dataset) else _subject(dataset, relative)


def _subject(dataset: DatasetFolder, relative: str) -> str:
    # With a readable manifest the findings name clips with changed lines, which start with the set's name.
    return dataset.name if relative == MANIFEST else relative


def _readable(dataset: DatasetFolder) -> bool:
    try:
        return bool(_lines(dataset))
    except AssayError:
        return False


def _lines(dataset: DatasetFolder) -> list[ClipRecord]:
    return read_manifest(dataset.path / MANIFEST)


def _choose(dataset: DatasetFolder, rng: np.random.Generator, label: str | None = None) -> ClipRecord:
    listed = [record for record in _lines(dataset) if label in (None, record.label)]
    return listed[rng.integers(len(listed))]


def _edit(dataset: DatasetFolder, clip: ClipId, changes: dict[str, object]) -> None:
    path = dataset.path / MANIFEST
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    edited = [line | changes if line["id"] == str(clip) else line for line in lines]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in edited), encoding="utf-8")


def _add_real(dataset: DatasetFolder, clip: Path, identity: str, encoding: Encoding) -> ClipRecord:
    source = clip
    if encoding.container != clip.suffix:
        source = clip.with_suffix(encoding.container)
        if not source.is_file():
            os.link(clip, source)
    return add_real_clip(dataset, source, identity=identity, rights="synthetic", encoding=encoding)


def _add_fake(
    dataset: DatasetFolder,
    stage: Stage,
    source: int,
    target: int,
    parent: ClipRecord,
    encoding: Encoding,
    rng: np.random.Generator,
) -> None:
    clip = ClipId(dataset.name, "oval", f"{target}+{source}@{encoding.name}")
    start = int(rng.integers(0, 3))
    faked = ((start, int(rng.integers(start + 2, LENGTH + 1))),)
    alpha = _oval() * float(rng.uniform(0.7, 1.0))
    images, masks = [], []
    for frame in range(LENGTH):
        under, over = (_moved(stage.pictures[who], frame).astype(np.float32) for who in (target, source))
        forged = faked[0][0] <= frame < faked[0][1]
        mixed = np.rint(under + alpha[..., None] * (over - under) * forged).astype(np.uint8)
        images.append(mixed)
        changed = np.where((mixed != under).any(axis=-1), 255, 0).astype(np.uint8)
        masks.append((np.rint(alpha * 255 * forged).astype(np.uint8), changed, changed))
    paths = dataset.masks_for(clip)
    digests = []
    for number, relative in enumerate(paths.paths.values()):
        with dataset.stage_media(relative) as draft:
            write_clip(draft, [mask[number] for mask in masks], Encoding.lossless_mask())
            digests.append(sha256_file(draft))
    _list_fake(
        dataset,
        clip,
        stage.clips[target],
        images,
        encoding,
        dataclasses.replace(
            parent,
            id=clip,
            kind="swap",
            label="fake",
            source_identity=f"actor-{source}",
            faked=faked,
            parent=parent.id,
            masks=dataclasses.replace(paths, sha256=(digests[0], digests[1], digests[2])),
            factors={},
            content_sha256=None,
        ),
    )


def _list_fake(
    dataset: DatasetFolder, clip: ClipId, target: Path, images: list[np.ndarray], encoding: Encoding, record: ClipRecord
) -> None:
    relative = dataset.media_for(clip, encoding.container)
    with dataset.stage_media(relative) as draft:
        write_clip(draft, images, encoding)
        content = sign_clip(
            draft,
            SigningIdentity.load_or_create(),
            title=clip.name,
            actions=[Action("c2pa.edited", "an oval of another actor was laid over the face")],
            ingredient=target,
            digital_source_type=source_type_of(record),
            record=record_facts(record),
        )
        record = dataclasses.replace(record, path=relative, sha256=sha256_file(draft), content_sha256=content)
    dataset.add(record, list(_labels(record)))


def _labels(record: ClipRecord) -> Iterator[FrameLabel]:
    for frame in range(LENGTH):
        forged = any(start <= frame < stop for start, stop in record.faked)
        yield FrameLabel(record.id, frame, frame, frame / 25, "fake" if forged else "real", 0, (16, 12, 48, 56), 32.0)


def _oval() -> np.ndarray:
    """(64, 64) float32 in [0, 1]: a centred oval with a soft edge."""
    y, x = np.mgrid[0:PX, 0:PX] - (PX - 1) / 2
    return np.clip(3.0 * (1.0 - np.hypot(x / 15, y / 19)), 0, 1).astype(np.float32)


def _moved(picture: np.ndarray, frame: int) -> np.ndarray:
    return np.roll(picture, frame % 3 - 1, axis=1)


def write_clip(path: Path, images: list[np.ndarray], encoding: Encoding) -> None:
    """Writes 64x64 pictures, RGB or gray, as a clip."""
    with VideoWriter(path, width=PX, height=PX, time_base=_BASE, frame_rate=None, encoding=encoding) as writer:
        for index, image in enumerate(images):
            writer.write(image, Timestamp(index, _BASE))
