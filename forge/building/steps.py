"""The tasks of a build up to the lossless fakes: each makes one folder atomically from its arguments.

Equal arguments give equal bytes on CPUs of one type, so a task that was interrupted, or run twice, changes nothing.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from forge.building.intermediates import (
    LANDMARKS,
    PICTURES,
    ShotFacts,
    nominal,
    read_facts,
    read_found,
    shifted_landmarks,
    stored_frames,
    storing,
    write_faces,
    write_facts,
    write_found,
)
from forge.building.tasks import FacesTask, MasterTask, ShotTask, TrainTask
from forge.models import build_swapper
from forge.models.checkpoint import TrainingSource, load_swapper, read_card, save_swapper
from forge.models.predictor import SwapPredictor
from forge.swapping.config import SwapConfig
from forge.swapping.coverage import SwapCoverage
from forge.swapping.masks import MASK_KINDS, MaskWriter
from forge.swapping.people import people_of
from forge.swapping.plan import plan_found
from forge.swapping.record import SwapOutcome
from forge.swapping.render import OpenedSwap, composited_frames
from forge.swapping.request import checked_card, need_target_decoder
from forge.swapping.tracks import FoundFaces, collect_faces
from forge.training.train import train_swapper
from shared.config import load_json
from shared.device import pick_device, with_threads
from shared.errors import CheckpointError, ManifestError, MediaError
from shared.faces.facesets.extract import BESIDE, extract
from shared.faces.facesets.reader import Faceset
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.faces.finders.sidecar import SidecarFinder, sidecar_of
from shared.faces.finders.turned import turned_finder, turned_note
from shared.faces.identity import IdentityEmbedder, make_embedder
from shared.faces.stream import FollowConfig, follow
from shared.storage import replacing_folder, write_text
from shared.training.checkpoint import read_checkpoint
from shared.types import Frame, Timestamp, VideoInfo
from shared.video import VideoReader, VideoWriter, probe, reading_notes
from shared.video.audio import cut_audio
from shared.video.facts import SOUND
from shared.video.images import PictureReader
from shared.video.media import clip_reader
from shared.video.renditions import resized_picture
from shared.video.unread import frames_note

MADE = "master.json"
_GIVEN = "given.landmarks.parquet"
_SHOWN_SHARE = 0.5


@dataclass(frozen=True)
class Made:
    """The contents of ``master.json``: facts of a rendered fake.

    Attributes:
        faked: frames that hold a forged pixel; empty when nothing could be swapped, and ``why`` gives the reason.
        chosen: the tracks that were swapped; rank: of the first of them by area.
        segments, face: as sampled.
        sound: name of the file whose sound the fake has; None for that of its shot.
        factors: of its records: how people were recognised, how many frames show the chosen person.
    """

    faked: tuple[int, ...]
    chosen: tuple[int, ...] = ()
    rank: int = 0
    segments: tuple[tuple[int, int], ...] = ()
    face: str = "main"
    alpha_instead: int = 0
    why: str = ""
    sound: str | None = None
    factors: dict[str, str] = field(default_factory=dict)


def read_made(folder: Path) -> Made:
    """The contents of ``master.json``.

    Raises:
        ManifestError: it is missing or damaged.
    """
    return load_json(Made, folder / MADE, error=ManifestError, hint="remove that folder; it is rebuilt")


def make_shot(task: ShotTask) -> int:
    """Cuts and decodes a clip, stores it losslessly with its sound, and finds its faces; returns the number of frames.

    Raises:
        MediaError: the clip cannot be read or has no frame there.
        FinderError: the finder is not available.
        StorageError: writing failed.
    """
    source = Path(task.source)
    with replacing_folder(Path(task.out)) as draft, with_threads(1), clip_reader(source) as reader:
        info = reader.info
        width, height = fitted(info.width, info.height, task.max_side)
        cut = _Cut(reader, task, (width, height))
        finder, following = _finder(task, draft, width / info.width)
        with storing(draft / PICTURES, width, height) as writer:
            found = found_in(cut.frames(writer), finder, following)
        notes = reading_notes(info) | cut.note()
        if not found.faces:
            found, turned = _found_turned(draft / PICTURES, found, finder, following, source.name)
            notes |= turned
        if info.has_audio and not task.audio:
            notes[SOUND] = f"left out as asked: {info.audio_codec}"
        first = cut.times[0]
        begins = first.exact_seconds if task.start else None
        facts = ShotFacts(
            source=source.name,
            source_sha256=task.source_sha256,
            start=task.start,
            width=width,
            height=height,
            time_base=info.time_base,
            frame_rate=info.frame_rate,
            notes=notes,
            pts=tuple(time.pts - (first.pts if task.start else 0) for time in cut.times),
            sound=_sound(source, draft, info, begins, cut.next_time) if task.audio else None,
            finder=finder.name,
            cuts=found.cuts,
            embedder=found.embedder,
            same_distance=found.same_distance,
        )
        write_found(draft, found)
        (draft / _GIVEN).unlink(missing_ok=True)
        write_facts(draft, facts)
    return len(found.times)


def found_in(frames: Iterable[Frame], finder: FaceFinder, following: FollowConfig) -> FoundFaces:
    """The faces in ``frames``, followed, with identities where an embedder is installed."""
    with closing(follow(frames, finder, following)) as followed:
        return collect_faces(followed, _embedder())


def _found_turned(
    pictures: Path, upright: FoundFaces, finder: FaceFinder, following: FollowConfig, clip: str
) -> tuple[FoundFaces, dict[str, str]]:
    """The faces of a stored shot whose people lie, with a note; as they were, where turning shows none."""
    times = list(upright.times.values())
    with closing(stored_frames(pictures, times)) as tried:
        turned = turned_finder(tried, finder)
    if turned is None:
        return upright, {}
    return found_in(stored_frames(pictures, times), turned, following), turned_note(turned, clip)


class _Cut:
    """The frames of a piece of a clip, at their new size, written as they are iterated."""

    def __init__(self, reader: VideoReader | PictureReader, task: ShotTask, size: tuple[int, int]) -> None:
        self.times: list[Timestamp] = []
        self.next_time: Timestamp | None = None
        self._reader, self._task, self._size = reader, task, size

    def frames(self, writer: VideoWriter) -> Iterator[Frame]:
        start, most = self._task.start, self._task.frames
        # One additional frame tells whether the sound must be cut too.
        for frame in self._reader.frames(start=start, stop=None if most is None else start + most + 1):
            index = len(self.times)
            if index == most:
                self.next_time = frame.time
                break
            image = resized_picture(frame.image, self._size)
            writer.write(image, nominal(index))
            self.times.append(frame.time)
            yield Frame(index, frame.time, image)
        if not self.times:
            raise MediaError(f"{self._reader.path} has no frame {start}", hint="ask for fewer pieces")

    def note(self) -> dict[str, str]:
        """Declared beside read frames, for the record, where the file was read to its end and they differ."""
        to_its_end = self.next_time is None and len(self.times) != self._task.frames
        return frames_note(self._reader.info.frames_declared, self._reader.frames_decoded) if to_its_end else {}


def _sound(source: Path, draft: Path, info: VideoInfo, start: Fraction | None, stop: Timestamp | None) -> str | None:
    if not info.has_audio:
        return None
    if start is None and stop is None:
        return str(source.resolve())
    cut = cut_audio(source, draft, start=start, stop=stop.exact_seconds if stop else None)
    return cut.name if cut else None


def _finder(task: ShotTask, draft: Path, scale: float) -> tuple[FaceFinder, FollowConfig]:
    every = task.detect_every
    if task.finder == BESIDE:
        shifted_landmarks(sidecar_of(Path(task.source)), draft / _GIVEN, start=task.start, scale=scale)
        return SidecarFinder(draft / _GIVEN), replace(FollowConfig(), detect_every=1, min_face_px=task.min_face_px)
    finder = made_finder(task.finder, task.device, task.min_face_px)
    base = replace(FollowConfig.suited_to(finder), min_face_px=task.min_face_px)
    return finder, base if every is None else replace(base, detect_every=every)


@lru_cache(maxsize=1)
def _embedder() -> IdentityEmbedder | None:
    return make_embedder()


@lru_cache(maxsize=2)
def made_finder(name: str, device: str, min_face_px: float) -> FaceFinder:
    """A finder, made once for all tasks of a process."""
    return make_finder(name, device=device, min_face_px=min_face_px)


def make_faceset(task: FacesTask) -> int:
    """Writes a faceset of a person's shots, with the faces found in them; returns the number kept.

    Raises:
        NoFaceError: none of the shots shows a face.
        StorageError: writing failed.
    """
    with with_threads(1):
        return extract([Path(shot) / PICTURES for shot in task.shots], Path(task.out), task.config).kept


def train(task: TrainTask) -> int:
    """Trains, or resumes, and exports a swapper after each step of the ladder; returns the number of steps.

    Raises:
        AssayError: see :func:`forge.training.train.train_swapper`.
    """
    run = Path(task.run)
    if run.exists() and not (run / "run.json").exists():
        shutil.rmtree(run)  # killed during set-up
    with with_threads(task.threads):
        result = train_swapper([Path(faceset) for faceset in task.facesets], Path(task.run), task.config)
    with replacing_folder(Path(task.out)) as draft:
        for step in task.ladder[:-1]:
            _export_snapshot(task, step, draft / f"step-{step}")
        last = task.ladder[-1]
        if read_card(result.swapper).training.get("steps") == last:
            shutil.copytree(result.swapper, draft / f"step-{last}")
        else:  # killed between the last checkpoint and its export
            _export_snapshot(task, last, draft / f"step-{last}")
    return result.steps


def _export_snapshot(task: TrainTask, step: int, out: Path) -> None:
    """Exports the weights of an earlier step as the training would have exported them."""
    config = task.config
    path = Path(task.run) / "checkpoints" / f"step-{step:08d}.safetensors"
    tensors, _ = read_checkpoint(path)
    opened = [Faceset.open(Path(faceset)) for faceset in task.facesets]
    identities = [faceset.info.identity for faceset in opened]
    swapper = build_swapper(config.model, identities, width=config.width, **config.model_options)
    try:
        swapper.load_state_dict(
            {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
        )
        if config.ema:
            with torch.no_grad():
                for number, parameter in enumerate(swapper.parameters()):
                    parameter.copy_(tensors[f"average.{number}"])
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit {config.model}: {error}", hint="remove the run") from error
    sources = [TrainingSource(one.info.identity, one.info.rights, one.info.kept, one.digest()) for one in opened]
    save_swapper(swapper, out, facesets=sources, training={"steps": step, "seed": config.seed})


def render_master(task: MasterTask) -> int:
    """Renders a fake from a shot losslessly, with its masks; returns the number of forged frames.

    A shot without a face, or one that the swap does not change, gives a folder with the reason, and no frames.

    Raises:
        UsageError: settings that the swapper does not support.
        CheckpointError: the swapper cannot be read.
        StorageError: writing failed.
    """
    shot = Path(task.shot)
    facts, found = read_facts(shot), read_found(shot)
    with replacing_folder(Path(task.out)) as draft, with_threads(1):
        made = Made((), why="no face was found") if not found.faces else _render(task, shot, facts, found, draft)
        if not made.faked:
            for path in draft.iterdir():
                path.unlink()
        write_text(draft / MADE, json.dumps(asdict(made), sort_keys=True) + "\n")
    return len(made.faked)


def _render(task: MasterTask, shot: Path, facts: ShotFacts, found: FoundFaces, draft: Path) -> Made:
    config = with_samples(task, found)
    swapper = Path(task.swapper)
    need_target_decoder(checked_card(swapper, task.source, config), task.target, config, swapper)
    predictor = _predictor(task.swapper, config.device, config.precision, config.batch)
    swap = OpenedSwap.of(predictor, config, task.source, task.target)
    known = facts.finder == SidecarFinder.name
    frames = None if known else stored_frames(shot / PICTURES, facts.times)
    plan = plan_found(found, config, frames=frames, what=task.shot)
    info = replace(probe(shot / PICTURES), time_base=facts.time_base, frame_rate=facts.frame_rate)
    paths = {kind: draft / f"{kind}.mkv" for kind in MASK_KINDS}
    outcome = SwapOutcome()
    with storing(draft / PICTURES, facts.width, facts.height) as video, MaskWriter(paths, info) as masks:
        for done in composited_frames(stored_frames(shot / PICTURES, facts.times), plan, swap):
            video.write(done.image, nominal(done.frame.index))
            masks.write(done.masks, done.frame.time)
            outcome.take(done)
    write_faces(draft / LANDMARKS, [plan.faces.get(index, ()) for index in range(plan.frames)])
    return Made(
        faked=tuple(outcome.faked),
        chosen=plan.chosen,
        rank=plan.ranks[0],
        factors=plan.factors | SwapCoverage.of(plan, outcome.faked).factors(),
        segments=config.segments,
        face=config.face,
        alpha_instead=outcome.alpha_instead,
        why="" if outcome.faked else "the swap changed no pixel",
    )


def with_samples(task: MasterTask, found: FoundFaces) -> SwapConfig:
    """The settings with the random choices for this clip: face and segments."""
    rng = np.random.default_rng(task.seed)
    config, frames = task.config, len(found.times)
    if task.one_of_many:
        shown = Counter(face.track for faces in found.faces.values() for face in faces)
        people = people_of(found, config.same_distance)
        lasting = [rank for rank, one in enumerate(people) if sum(shown[t] for t in one) >= _SHOWN_SHARE * frames]
        config = replace(config, face=str(int(rng.choice(lasting or [0]))))
    if task.segments is not None:
        config = replace(config, segments=sample_segments(frames, task.segments.share, task.segments.count, rng))
    return config


def sample_segments(frames: int, share: float, count: int, rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    """``count`` half-open runs of frames, ascending and apart, together ``share`` of ``frames``, placed by ``rng``.

    At least one frame is in a run and, of two or more, at least one is not; fewer runs if there are few frames.
    """
    inside = min(max(1, round(share * frames)), max(1, frames - 1))
    outside = frames - inside
    count = max(1, min(count, inside, outside + 1))
    lengths = _parts(inside, count, rng, least=1)
    # Gaps before, between and after; those between keep the runs apart.
    gaps = _parts(outside - (count - 1), count + 1, rng, least=0)
    runs: list[tuple[int, int]] = []
    place = 0
    for number, length in enumerate(lengths):
        place += gaps[number] + (1 if number else 0)
        runs.append((place, place + length))
        place += length
    return tuple(runs)


def _parts(total: int, count: int, rng: np.random.Generator, *, least: int) -> list[int]:
    """``count`` whole numbers of at least ``least`` that sum to ``total``, uniformly distributed."""
    free = total - least * count
    bars = np.sort(rng.choice(free + count - 1, count - 1, replace=False)) if count > 1 else np.array([], int)
    edges = [-1, *bars.tolist(), free + count - 1]
    return [after - before - 1 + least for before, after in itertools.pairwise(edges)]


@lru_cache(maxsize=2)
def _predictor(swapper: str, device: str, precision: str, batch: int) -> SwapPredictor:
    place = pick_device(device, precision)  # type: ignore[arg-type]
    return SwapPredictor(load_swapper(Path(swapper), place.torch_device), place, batch=batch)


def fitted(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Width and height, both even, scaled down so that the longer is at most ``max_side``."""
    longer = max(width, height)
    if max_side is None or longer <= max_side:
        return width, height
    return (max(2, 2 * round(width * max_side / longer / 2)), max(2, 2 * round(height * max_side / longer / 2)))
