"""Pieces that clips are cut into, the split of each person, and swapper models with their people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

import shared
from forge.building.networks import network_people
from forge.building.reenactments import PHOTOGRAPHS, ReenactmentConfig
from forge.building.spec import ClipConfig, IdentityConfig, SetSpec, SwapperConfig
from forge.building.tasks import FaceTask, ShotTask
from forge.swapping.config import SwapConfig
from forge.training.config import TrainConfig
from shared.config import digest, need, to_mapping
from shared.console import console, counted
from shared.dataset.splits import joined, place_groups
from shared.errors import LeakError, MediaError
from shared.storage import sha256_file
from shared.types import SPLITS, ClipId, Split
from shared.video import probe
from shared.video.held import LONGEST_PX
from shared.video.images import is_still, pictures_in
from shared.video.media import clip_info, is_still_clip
from shared.video.reader import packets_in
from shared.video.unread import Unread


@dataclass(frozen=True)
class Held:
    """What a still is that is driven.

    Attributes:
        kind: see :data:`shared.dataset.held.TARGET_STILL`.
        parent: the still where the set lists it.
    """

    kind: str
    parent: ClipId | None = None


@dataclass(frozen=True)
class Shot:
    """A piece of a clip, before it is cut.

    Attributes:
        name: the person's name and a number.
        people: the person, then others who are visible.
        frames: their number according to the file; megapixels: of all frames together; rate: frames a second.
        still: whether it is a picture, of which stills are made and no clips.
        heard: whether it has sound that is kept.
        held: of a still that is driven, where ``frames`` and the like are those of the clip that it becomes.
    """

    name: str
    people: tuple[str, ...]
    task: ShotTask | FaceTask
    key: str
    frames: int
    megapixels: float
    rate: float = 25.0
    still: bool = False
    heard: bool = False
    held: Held | None = None

    @property
    def person(self) -> str:
        """The person the clip belongs to."""
        return self.people[0]

    @property
    def factors(self) -> tuple[tuple[str, str], ...]:
        """The factors in its records."""
        others = ",".join(self.people[1:])
        start = str(self.task.start) if isinstance(self.task, ShotTask) and self.task.start else ""
        return tuple((name, value) for name, value in (("also", others), ("start", start)) if value)


@dataclass(frozen=True)
class Model:
    """One swapper with its people, in the order of the settings; ``run`` and its ``digest`` if it exists already."""

    name: str
    config: SwapperConfig
    people: tuple[str, ...]
    run: Path | None = None
    digest: str | None = None


def shots_of(spec: SetSpec, work: Path) -> list[Shot]:
    """The pieces of all people's clips, in the order of the settings; a clip that cannot be read is said and left out.

    Raises:
        MediaError: no clip of a person can be read.
        UsageError: one is named twice.
    """
    shots: list[Shot] = []
    seen: dict[tuple[str, int], str] = {}
    for identity in spec.identity:
        number = 0
        unread = Unread()
        files = [(clip, path) for clip in identity.entries for path in _files(spec.clip_path(clip.path), unread)]
        for clip, path in files:
            pieces: list[Shot] = []
            with unread.passing_over(path):
                pieces = _pieces(spec, identity, clip, path, work, number)
            for piece in pieces:
                assert isinstance(piece.task, ShotTask)
                place = (piece.task.source_sha256, piece.task.start)
                first = seen.setdefault(place, piece.name)
                need(first == piece.name, f"{piece.name} and {first} are the same frames", "name every clip once")
                shots.append(piece)
                number += 1
        unread.need_some(number)
        if unread.reasons:
            read = len({shot.task.source for shot in shots if shot.person == identity.name})
            console.warn(f"clips of {identity.name}: {unread.words(read)}")
    return shots


def _files(path: Path, unread: Unread) -> list[Path]:
    """The file itself; of a folder its photographs."""
    if not path.is_dir():
        return [path]
    with unread.passing_over(path):
        return pictures_in(path)
    return []


def _pieces(
    spec: SetSpec, identity: IdentityConfig, clip: ClipConfig, path: Path, work: Path, number: int
) -> list[Shot]:
    from forge.building.steps import fitted

    still = is_still_clip(path)
    if still and not spec.generation and not spec.drives_photographs:
        raise MediaError(
            f"{path} is a picture, of which only stills are made",
            hint='add a [[generation]], or a [[reenactment]] with targets = "photographs", or name a video',
        )
    max_side = spec.set.max_side
    if still and spec.drives_photographs:
        max_side = min(max_side or LONGEST_PX, LONGEST_PX)
    width, height, total, sha256, rate, sounds = _facts(path)
    frames = clip.frames or spec.set.frames
    wanted = clip.pieces or spec.set.pieces
    left = total - clip.start
    if left < 1:
        raise MediaError(f"{path} has {counted(total, 'frame')}, none from {clip.start} on", hint="lower its start")
    # An incomplete piece is left out, unless it is the only one.
    count = 1 if frames is None else max(1, min(wanted, left // frames))
    size = fitted(width, height, max_side)
    found: list[Shot] = []
    for piece in range(count):
        start = clip.start + piece * (frames or 0)
        length = left if frames is None else min(frames, left)
        settings = {
            "source_sha256": sha256, "start": start, "frames": frames, "max_side": max_side,
            "finder": spec.set.finder, "detect_every": spec.set.detect_every, "min_face_px": spec.set.min_face_px,
            "device": spec.set.device, "sidecar": _sidecar_digest(spec, path), "layout": 2,
            "audio": None if spec.set.audio else False,
        }  # fmt: skip
        key = digest({"kind": "shot", "assay": shared.__version__, **to_mapping(settings)})
        name = f"{identity.name}-{number + piece:02d}"
        task = ShotTask(
            out=str(work / "shots" / f"{name}-{key[:12]}"), source=str(path), source_sha256=sha256, start=start,
            frames=frames, max_side=max_side, finder=spec.set.finder, detect_every=spec.set.detect_every,
            min_face_px=spec.set.min_face_px, device=spec.set.device, audio=spec.set.audio,
        )  # fmt: skip
        megapixels = length * size[0] * size[1] / 1e6
        people = (identity.name, *clip.also)
        heard = sounds and spec.set.audio
        found.append(Shot(name, people, task, key, length, megapixels, rate, still=still, heard=heard))
    return found


def _sidecar_digest(spec: SetSpec, path: Path) -> str | None:
    beside = path.with_suffix(".landmarks.parquet")
    return sha256_file(beside) if spec.set.finder == "sidecar" and beside.is_file() else None


@lru_cache(maxsize=4096)
def _facts(path: Path) -> tuple[int, int, int, str, float, bool]:
    """Width, height, frames, hash and frames a second of a file, and whether it has sound.

    Frames are counted where the container does not say, or holds fewer.

    Raises:
        MediaError: it cannot be read, or is an animation that is called as a picture is.
    """
    info = clip_info(path)
    if is_still_clip(path):
        is_still(path)  # refuses an animation
    if not is_still_clip(path) and (info.frames_declared is None or packets_in(path) < info.frames_declared):
        info = probe(path, count=True)
    return (
        info.width,
        info.height,
        info.frames_counted or info.frames_declared or 0,
        sha256_file(path),
        float(info.frame_rate or 25),
        info.has_audio,
    )


def splits_of(spec: SetSpec, shots: Sequence[Shot]) -> dict[str, Split]:
    """The split of each person: as given, or random such that linked people are in one split.

    People are linked by a clip that shows both, by a run, a network or a group that was trained on both, and by a pair
    given by name.

    Raises:
        LeakError: linked people are in two splits, or there are too few groups to split.
        CheckpointError: a run or a network cannot be read.
    """
    groups = joined([*((one.name,) for one in spec.identity), *_links(spec, shots)])
    named = spec.splits.named
    if named:
        split_of: dict[str, Split] = {name: split for split, people in named.items() for name in people}
        for group in groups:
            splits = {split_of[name] for name in group if name in split_of}
            if len(splits) > 1:
                raise LeakError(
                    f"{', '.join(group)} are linked by a clip, a swapper, a network or a pair, and are in "
                    f"{' and '.join(sorted(splits))}",
                    hint="put them into one split, or remove the link",
                )
            for split in SPLITS:
                if split in splits:
                    split_of.update((name, split) for name in group)
        return split_of
    sizes = np.zeros((len(groups), 2))
    for place, group in enumerate(groups):
        sizes[place] = sum(shot.person in group for shot in shots)
    return place_groups(groups, sizes, fractions=spec.splits.fractions, seed=spec.set.seed)


def _links(spec: SetSpec, shots: Sequence[Shot]) -> list[tuple[str, ...]]:
    ties: list[tuple[str, ...]] = [shot.people for shot in shots if len(shot.people) > 1]
    known = {one.name for one in spec.identity}
    for one in spec.swapper:
        if one.run is not None:
            people = [name for name in _card_people(spec, one) if name in known]
            ties += [tuple(people)] if people else []
        elif not isinstance(one.people, str):
            ties += one.people
    ties += [
        tuple(named)
        for one in spec.reenactment
        if (named := [name for name in network_people(spec, one) if name in known])
    ]
    ties += [
        pair for one in (*spec.manipulation, *spec.reenactment) if not isinstance(one.pairs, str) for pair in one.pairs
    ]
    return ties


def filmed_people(spec: SetSpec, shots: Sequence[Shot]) -> tuple[str, ...]:
    """The people with a video, in the order of the settings; the others, in photographs alone, are targets as stills.

    Raises:
        ConfigError: a group or a pair names one of the others where a video is needed, or a photograph is and the
            person has none.
    """
    found = {shot.person for shot in shots if not shot.still}
    shown = {shot.person for shot in shots if shot.still}
    named: list[tuple[str, str]] = []
    for one in (*spec.manipulation, *spec.reenactment):
        for source, target in () if isinstance(one.pairs, str) else one.pairs:
            if isinstance(one, ReenactmentConfig) and one.targets == PHOTOGRAPHS:
                need(target in shown, f"{one.name}: {target} has no photograph", "name one among the clips")
                named += [(one.name, source)]
            else:
                named += [(one.name, source), (one.name, target)]
    named += [
        (one.name, name)
        for one in spec.swapper if not isinstance(one.people, str)
        for group in one.people for name in group
    ]  # fmt: skip
    for where, name in named:
        need(name in found, f"{where}: {name} is in photographs alone", "faces of swaps and drivers need a video")
    return tuple(one.name for one in spec.identity if one.name in found)


def models_of(spec: SetSpec, splits: dict[str, Split], people: Sequence[str]) -> list[Model]:
    """Every swapper with its people, of ``people``; they are in one split, because :func:`splits_of` links them.

    Raises:
        CheckpointError: a run holds no swapper.
        ConfigError: a group has fewer than two people.
    """
    names = list(people)
    models: list[Model] = []
    for one in spec.swapper:
        if one.run is not None:
            from forge.models.checkpoint import swapper_digest

            known = tuple(name for name in names if name in _card_people(spec, one))
            need(len(known) > 1, f"{one.name}: its run knows none or one of this set's people", "name them as it does")
            path = _run_path(spec, one)
            models.append(Model(one.name, one, known, path, swapper_digest(path)))
        elif isinstance(one.people, str):
            for split in ("train", "val", "test"):
                members = tuple(name for name in names if splits[name] == split)
                if len(members) > 1:
                    models.append(Model(f"{one.name}-{split}", one, members))
        else:
            for number, group in enumerate(one.people):
                need(len(group) > 1, f"{one.name}: a group needs two people or more", "name at least two")
                models.append(Model(f"{one.name}-{number}", one, tuple(name for name in names if name in group)))
    return models


def training_of(spec: SetSpec, one: SwapperConfig) -> TrainConfig:
    """The settings of a swapper's training, on the set's device, with the full path of the swapper it starts from."""
    from forge.training.start import starts_from_file  # torch takes a second to import

    config = replace(one.training, device=spec.set.device)
    if config.start_from is None or not starts_from_file(config):
        return config
    return replace(config, start_from=str((spec.folder / config.start_from).resolve()))


def files_beside(config: SwapConfig) -> list[str]:
    """SHA-256 of the files that a swap needs beside its swapper: the restorer's weights, and an enlarging hook.

    Raises:
        CheckpointError: the restorer has no weights.
        UsageError: the hook is not there.
    """
    from forge.swapping.restore import restorer_digest
    from forge.swapping.super_resolution import enlarge_digest, need_hook

    need_hook(config.blend)
    return [found for found in (restorer_digest(config.restore), enlarge_digest(config.blend)) if found is not None]


def _run_path(spec: SetSpec, one: SwapperConfig) -> Path:
    return (spec.folder / str(one.run)).resolve()


def _card_people(spec: SetSpec, one: SwapperConfig) -> tuple[str, ...]:
    from forge.models.checkpoint import read_card

    return read_card(_run_path(spec, one)).identities
