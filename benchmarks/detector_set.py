"""Plans the sets of the detector in the package for the machinery of ``assay forge build``.

Every clip of a person has one real record and several fakes. All of them are encoded by the same chain, from lossless
frames, with a random crf for each (:func:`forge.building.sampling.encode_of`). The sources of the fakes are the crowds
that the part's swapper was trained on, so no source is in two parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import shared
from benchmarks.detector_people import Part, Person
from forge.building.pieces import Shot, shots_of
from forge.building.plan_parts import BuildPlan, BuildStep, PlannedClip, encode_units
from forge.building.sampling import encode_of, seed_for
from forge.building.spec import ClipConfig, IdentityConfig, SetConfig, SetSpec
from forge.building.tasks import ClipTask, EncodeTask, MasterTask
from forge.models.checkpoint import read_card, swapper_digest
from forge.swapping.config import SwapConfig
from forge.swapping.pastes import over_preset
from shared.config import digest, from_mapping, merged, need, to_mapping
from shared.faces.pastes.presets import draw_paste, presets
from shared.types import ClipId, Split
from shared.video.renditions import Rendition


@dataclass(frozen=True)
class VariantConfig:
    """Settings of some of the swaps, drawn with ``weight``; ``name``, if given, is part of the manipulations' names."""

    name: str = ""
    weight: float = 1.0
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        need(self.weight > 0, f"the weight of a variant lies above 0, got {self.weight}")


@dataclass(frozen=True)
class FakesConfig:
    """Fakes of each clip.

    Attributes:
        number: of fakes for each clip.
        own_crowd: share of fakes with the decoder of the person's own crowd, which changes the person least.
        pastes: presets with their weights; all, equally often, if empty.
        settings: of the swaps, over those of the preset.
        variants: one is drawn for each fake, and its settings lie over ``settings``; none if empty.
        pieces, frames: clips cut from each video, and their length; photographs give one clip.
        crf_spread, min_face_px, max_side, finder: see ``assay forge build``.
    """

    number: int = 2
    own_crowd: float = 0.3
    pastes: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    variants: tuple[VariantConfig, ...] = ()
    pieces: int = 2
    frames: int = 24
    crf_spread: int = 3
    min_face_px: float = 40.0
    max_side: int | None = None
    finder: str = "dlib"
    seed: int = 0

    def __post_init__(self) -> None:
        need(self.number >= 1, f"number must be at least 1, got {self.number}")
        need(0 <= self.own_crowd <= 1, f"own_crowd must lie in [0, 1], got {self.own_crowd}")

    @property
    def weights(self) -> dict[str, float]:
        """The presets to draw from."""
        return self.pastes or dict.fromkeys(presets(), 1.0)


@dataclass(frozen=True)
class PartSwapper:
    """A swapper of the people of one part: a run, or an exported one; ``name`` is part of the manipulations' names."""

    name: str
    part: Part
    path: Path


@dataclass(frozen=True)
class Filmed:
    """A person with clips."""

    person: Person
    clips: tuple[Path, ...]


def spec_of(name: str, filmed: Sequence[Filmed], renditions: Sequence[Any], config: FakesConfig) -> SetSpec:
    """The settings of a set called ``name``: people with their clips, without swappers."""
    people = tuple(
        IdentityConfig(
            one.person.name,
            one.person.crowd.rights,
            tuple(
                ClipConfig(str(clip), pieces=1 if one.person.photograph else config.pieces, frames=config.frames)
                for clip in one.clips
            ),
        )
        for one in filmed
    )
    settings = SetConfig(
        name=name, license="mixed, see the records", seed=config.seed, finder=config.finder, audio=False,
        min_face_px=config.min_face_px, max_side=config.max_side, crf_spread=config.crf_spread, keep_masters=False,
    )  # fmt: skip
    mapping = {"set": to_mapping(settings), "identity": [to_mapping(one) for one in people]}
    return from_mapping(SetSpec, mapping | {"renditions": list(renditions)}, where=name)


def plan_of(
    spec: SetSpec,
    filmed: Sequence[Filmed],
    swappers: Sequence[PartSwapper],
    splits: Mapping[Part, Split],
    config: FakesConfig,
    folders: tuple[Path, Path],
) -> BuildPlan:
    """The steps and clips of a set; ``folders`` are those of the dataset and of intermediate files, absolute.

    Raises:
        MediaError: a clip cannot be read.
        CheckpointError: a swapper cannot be read.
    """
    planner = _Planner(spec, config, folders)
    people = {one.person.name: one.person for one in filmed}
    for shot in shots_of(spec, folders[1]):
        person = people[shot.person]
        own = [swapper for swapper in swappers if swapper.part == person.part]
        planner.add(shot, person, own, splits[person.part])
    return BuildPlan(tuple(planner.steps.values()), tuple(planner.clips), ())


class _Planner:
    """Collects steps and clips."""

    def __init__(self, spec: SetSpec, config: FakesConfig, folders: tuple[Path, Path]) -> None:
        self.spec, self.config = spec, config
        self.out, self.work = folders
        self.steps: dict[str, BuildStep] = {}
        self.clips: list[PlannedClip] = []

    def add(self, shot: Shot, person: Person, swappers: Sequence[PartSwapper], split: Split) -> None:
        """The real clip of ``shot``, and its fakes."""
        rng = np.random.default_rng(seed_for(self.config.seed, "shot", shot.name))
        rendition = self.spec.ladder[int(rng.integers(len(self.spec.ladder)))]
        self._put(
            BuildStep(shot.key, "shot", shot.task, (), Path(shot.task.out), shot.megapixels, shot.megapixels * 1.5e6)
        )
        real = ClipId(self.spec.set.name, None, f"{shot.name}@{rendition.name}")
        self._encode(shot, person, real, rendition, split, (shot.key,), None, None)
        for number in range(self.config.number):
            swapper = swappers[int(rng.integers(len(swappers)))]
            master, made, key = self._master(shot, person, swapper, number, rng)
            kind = f"{swapper.name}-{made}"
            fake = ClipId(self.spec.set.name, kind, f"{shot.name}+{master.source}-{number}@{rendition.name}")
            self._encode(shot, person, fake, rendition, split, (key,), master, real)

    def _put(self, step: BuildStep) -> None:
        self.steps.setdefault(step.key, step)

    def _master(
        self, shot: Shot, person: Person, swapper: PartSwapper, number: int, rng: np.random.Generator
    ) -> tuple[MasterTask, str, str]:
        """The rendering of a fake, the name of its paste and variant, and the key of the step."""
        known = read_card(swapper.path).identities
        own = [one for one in known if one.startswith(f"{person.part}-{person.crowd.name}")] or list(known[:1])
        others = [one for one in known if one not in own] or own
        source = str(rng.choice(own if rng.random() < self.config.own_crowd else others))
        paste, drawn = draw_paste(self.config.weights, rng)
        variant = self._variant(rng)
        common = {"finder": self.config.finder, "min_face_px": self.config.min_face_px, "device": "cpu"}
        settings = merged(merged(common, self.config.settings), variant.settings)
        config = from_mapping(SwapConfig, over_preset(paste, drawn, settings), where=paste)
        seed = seed_for(self.config.seed, "master", shot.name, number)
        # The target's own decoder, where a paste needs one, is that of the person's crowd.
        key = _key("master", shot.key, swapper_digest(swapper.path), source, own[0], config, seed)
        out = self.work / "masters" / f"{shot.name}-{key[:16]}"
        task = MasterTask(
            out=str(out), shot=shot.task.out, swapper=str(swapper.path), source=source, target=own[0], config=config,
            segments=None, one_of_many=False, seed=seed,
        )  # fmt: skip
        self._put(BuildStep(key, "master", task, (shot.key,), out, shot.megapixels, shot.megapixels * 1.6e6))
        return task, "-".join(filter(None, (paste.partition(":")[0], variant.name))), key

    def _variant(self, rng: np.random.Generator) -> VariantConfig:
        variants = self.config.variants
        if not variants:
            return VariantConfig()
        weights = np.array([one.weight for one in variants])
        return variants[int(rng.choice(len(variants), p=weights / weights.sum()))]

    def _encode(
        self,
        shot: Shot,
        person: Person,
        clip: ClipId,
        rendition: Rendition,
        split: Split,
        after: tuple[str, ...],
        master: MasterTask | None,
        parent: ClipId | None,
    ) -> None:
        sampled = encode_of(rendition, clip, self.spec.set.crf_spread, self.spec.set.seed)
        factors = {"crowd": person.crowd.name, **dict(shot.factors)}
        if master is not None:
            factors |= {"paste": master.config.paste or ""}
        task = ClipTask(
            id=clip,
            recipe=_key("clip", after, sampled, person.crowd.rights, factors),
            rendition=sampled,
            parent=parent,
            mask_stem=f"masks/{clip.manipulation}/{clip.name.partition('@')[0]}" if master else "",
            factors=tuple(sorted(factors.items())),
        )
        encode = EncodeTask(
            dataset=str(self.out), dataset_name=self.spec.set.name, work=str(self.work), shot=shot.task.out,
            master=master.out if master else None, source_file=shot.task.source, people=shot.people,
            rights=person.crowd.rights, clips=(task,), swapper=master.swapper if master else None,
            source=master.source if master else None, config=master.config if master else None,
            drop_master=True,
        )  # fmt: skip
        key = _key("clips", task.recipe)
        size = shot.megapixels * 0.1e6
        self._put(BuildStep(key, "clips", encode, after, None, encode_units(sampled, shot.megapixels), size))
        self.clips.append(PlannedClip(task, split, key))


def _key(*parts: object) -> str:
    plain = [part if isinstance(part, str | int) else to_mapping({"part": part}) for part in parts]
    return digest({"version": 1, "assay": shared.__version__, "parts": plain})
