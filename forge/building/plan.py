"""The plan of a build: every clip with its split, every task with its dependencies.

A task has a key derived from all that its result depends on: hashes of files, settings, the keys of the tasks it
depends on, and Assay's version. Results are stored under that key and reused.

Parents: a fake's parent is the real clip in the same rendition, with which it is pixel-aligned; the parent of a real
clip is the first rendition of the same clip. Both are encoded from the lossless frames, not from the parent's file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from forge.building.networks import check_networks
from forge.building.pieces import Model, Shot, files_beside, filmed_people, models_of, shots_of, splits_of, training_of
from forge.building.plan_drives import DrivePlanner
from forge.building.plan_parts import (
    SELF,
    BuildPlan,
    BuildStep,
    PlannedClip,
    build_key,
    chosen_exports,
    encode_units,
    refuse_duplicate_names,
)
from forge.building.plan_stills import FaceTarget, plan_stills
from forge.building.reenactments import CLIPS, ReenactmentConfig
from forge.building.sampling import Pair, encode_of, pairs_of, paste_of, seed_for, swap_settings, variants_of
from forge.building.spec import ManipulationConfig, SetSpec
from forge.building.speech import plan_speech
from forge.building.tasks import ClipTask, EncodeTask, FacesTask, MasterTask, TrainTask
from forge.swapping.config import SwapConfig
from shared.config import need
from shared.console import console, counted
from shared.faces.facesets.extract_config import ExtractConfig
from shared.types import ClipId, Split
from shared.video.renditions import Rendition


def plan_set(spec: SetSpec, out: Path, work: Path) -> BuildPlan:
    """The plan of ``spec`` for the dataset ``out`` and the work folder ``work``.

    Reads and hashes the source clips, writes nothing.

    Raises:
        AssayError: of the set of speech, see :func:`forge.building.speech.plan_speech`.
        MediaError: a clip cannot be read.
        ConfigError: inconsistent settings.
        LeakError: people of two splits are linked, or a network knows people of another than it drives.
        CheckpointError: a swapper or the restorer that the settings name cannot be read.
        UsageError: a file that they name is not there.
    """
    shots = shots_of(spec, work)
    splits = splits_of(spec, shots)
    filmed = filmed_people(spec, shots)
    others = len(spec.identity) - len(filmed)
    if others and (spec.manipulation or spec.reenactment):
        told = f"{counted(others, 'person', 'people')} in photographs alone"
        if spec.drives_photographs:
            console.print(f"{told}: driven as photographs, not in swaps and no drivers")
        else:
            console.print(f"{told}: in stills, not in swaps and drives")
    models = models_of(spec, splits, filmed)
    speech = plan_speech(spec, splits, out)
    return replace(_Planner(spec, out, work, shots, splits, models, filmed).plan(), speech=speech)


class _Planner:
    """Collects the steps and clips of one plan."""

    def __init__(
        self,
        spec: SetSpec,
        out: Path,
        work: Path,
        shots: Sequence[Shot],
        splits: dict[str, Split],
        models: Sequence[Model],
        filmed: Sequence[str],
    ) -> None:
        self.spec, self.out, self.work = spec, out, work
        self.shots, self.splits, self.models = shots, dict(splits), models
        self.drives = DrivePlanner(spec, work, shots, filmed, splits, models, self._key)
        self.films = [shot for shot in shots if not shot.still]
        self.steps: dict[str, BuildStep] = {}
        self.clips: list[PlannedClip] = []
        self.rights = {one.name: one.rights for one in spec.identity}
        self.name = spec.set.name
        self.files: dict[tuple[str, str], list[str]] = {}
        self.driven: dict[str, set[Split]] = {one.name: set() for one in spec.reenactment}

    def plan(self) -> BuildPlan:
        """All steps and clips."""
        for shot in self.shots:
            self._add(
                BuildStep(
                    shot.key, "shot", shot.task, (), Path(shot.task.out), shot.megapixels, shot.megapixels * 1.5e6
                )
            )
            if self._ladder and not shot.still:
                self._real(shot)
        swappers = {model.name: self._model(model) for model in self.models}
        for manipulation in self.spec.manipulation:
            self._manipulation(manipulation, swappers)
        for reenactment in self.spec.reenactment:
            if reenactment.targets == CLIPS:
                self._reenactment(reenactment, swappers, {})
        stills = plan_stills(self.spec, self.out, self.work, self.shots, self.splits, self._key)
        for step in stills.steps:
            self._add(step)
        self.clips += stills.clips
        for face in (face for faces in stills.faces.values() for face in faces):
            self.rights[face.shot.person], self.splits[face.shot.person] = face.rights, face.split
        for reenactment in self.spec.reenactment:
            if reenactment.targets != CLIPS:
                self._reenactment(reenactment, swappers, stills.faces)
        refuse_duplicate_names([clip.task.id for clip in self.clips])
        unchecked = check_networks(self.spec, self.splits, self.driven)
        return BuildPlan(tuple(self.steps.values()), tuple(self.clips), tuple(self.models), unchecked=unchecked)

    def _add(self, step: BuildStep) -> str:
        return self.steps.setdefault(step.key, step).key

    def _real(self, shot: Shot) -> None:
        clips = [
            self._real_clip(shot, rendition, place)
            for place, rendition in enumerate(self._ladder if self.spec.set.controls else (None,))
        ]
        task = EncodeTask(
            dataset=str(self.out),
            dataset_name=self.name,
            work=str(self.work),
            shot=shot.task.out,
            master=None,
            source_file=shot.task.source,
            people=shot.people,
            rights=self.rights[shot.person],
            clips=tuple(clips),
            mark=self.spec.set.mark == "both",
        )
        self._encode(task, clips, shot, (shot.key,))

    def _real_clip(self, shot: Shot, rendition: Rendition | None, place: int) -> ClipTask:
        name = self._real_id(shot, rendition)
        sampled = self._sampled(rendition, name) if rendition else None
        return ClipTask(
            id=name,
            recipe=self._key("real", shot.key, sampled, shot.person, self.rights[shot.person]),
            rendition=sampled,
            parent=None if place == 0 else self._real_id(shot, self._ladder[0]),
            mask_stem="",
            factors=shot.factors,
        )

    def _sampled(self, rendition: Rendition, clip: ClipId) -> Rendition:
        """The rendition with the crf sampled for this clip."""
        settings = self.spec.set
        return encode_of(rendition, clip, settings.crf_spread, settings.seed) if settings.controls else rendition

    def _real_id(self, shot: Shot, rendition: Rendition | None) -> ClipId:
        suffix = rendition.name if rendition else "original"
        return ClipId(self.name, None, f"{shot.name}@{suffix}")

    @property
    def _ladder(self) -> tuple[Rendition, ...]:
        return self.spec.ladder

    def _model(self, model: Model) -> dict[int, tuple[str, str, str | None]]:
        """Step of the ladder to folder, key and, if it is trained here, the step that makes it."""
        if model.run is not None:
            return {0: (str(model.run), str(model.digest), None)}
        facesets = [self._faceset(person) for person in model.people]
        config = training_of(self.spec, model.config)
        places = [str(self._faceset_path(*one)) for one in zip(model.people, facesets, strict=True)]
        from forge.training.start import start_digest, starts_from_file

        start = start_digest(config)
        # What it starts from counts by its content, wherever it lies.
        keyed = replace(config, start_from="") if starts_from_file(config) else config
        inputs = [facesets, keyed, model.config.ladder, model.config.threads, *([] if start is None else [start])]
        key = self._key("train", *inputs)
        folder, run = (self.work / kind / f"{model.name}-{key[:12]}" for kind in ("swappers", "runs"))
        task = TrainTask(
            out=str(folder),
            run=str(run),
            facesets=tuple(places),
            config=config,
            ladder=model.config.ladder,
            threads=model.config.threads,
        )
        faces = config.steps * config.batch * min(len(model.people), config.identities_per_step)
        self._add(BuildStep(key, "train", task, tuple(facesets), folder, faces, 60e6 * (2 + len(model.config.ladder))))
        return {step: (str(folder / f"step-{step}"), self._key(key, step), key) for step in model.config.ladder}

    def _faceset(self, person: str) -> str:
        shots = [shot for shot in self.shots if shot.person == person]
        faces = self.spec.faces
        config = ExtractConfig(
            identity=person, rights=self.rights[person], finder="sidecar", device=self.spec.set.device, px=faces.px,
            framing=faces.framing, every=faces.every, detect_every=1, min_face_px=faces.min_face_px,
            embed_every=faces.embed_every,
        )  # fmt: skip
        key = self._key("faceset", [shot.key for shot in shots], config)
        out = self._faceset_path(person, key)
        task = FacesTask(str(out), tuple(shot.task.out for shot in shots), config)
        frames = sum(shot.frames for shot in shots)
        after = tuple(shot.key for shot in shots)
        return self._add(BuildStep(key, "faceset", task, after, out, frames, frames * 1.3 * faces.px**2))

    def _faceset_path(self, person: str, key: str) -> Path:
        return self.work / "facesets" / f"{person}-{key[:12]}"

    def _manipulation(
        self, manipulation: ManipulationConfig, swappers: dict[str, dict[int, tuple[str, str, str | None]]]
    ) -> None:
        models = [model for model in self.models if model.config.name == manipulation.swapper]
        made = 0
        for model in models:
            pairs = pairs_of(manipulation, model.people, self.spec.set.seed)
            made += len(pairs)
            for source, target in pairs:
                for number, factors in variants_of(manipulation, (source, target), self.spec.set.seed):
                    self._fakes(manipulation, model, swappers[model.name], (source, target), number, factors)
            if self.spec.set.controls and manipulation.self_swaps:
                factors = variants_of(manipulation, ("", ""), 0)[0][1]
                last = dict(list(chosen_exports(manipulation, swappers[model.name]).items())[-1:])
                for person in sorted({target for _, target in pairs}, key=model.people.index):
                    whole = replace(manipulation, segments=None)
                    self._fakes(whole, model, last, (person, person), None, factors)
        need(made > 0, f"{manipulation.name}: no people are paired", "each split needs two people or more")

    def _fakes(
        self,
        manipulation: ManipulationConfig,
        model: Model,
        exports: dict[int, tuple[str, str, str | None]],
        pair: tuple[str, str],
        number: int | None,
        factors: Mapping[str, Any],
    ) -> None:
        """The fakes of a pair by one combination of factors, ``number``; None for self-swaps."""
        source, target = pair
        variant = f"-v{number}" if manipulation.factors and number is not None else ""
        chosen = chosen_exports(manipulation, exports)
        shots = [shot for shot in self.films if shot.person == target][: manipulation.clips]
        for shot in shots:
            paste = paste_of(manipulation, shot.name, pair, number or 0, self.spec.set.seed)
            config = swap_settings(self.spec, manipulation, factors, paste)
            for step, (folder, key, trained) in chosen.items():
                suffix = variant + (f"-s{step}" if len(chosen) > 1 else "")
                name = f"{shot.name}+{source}{suffix}"
                kind = manipulation.name + (SELF if source == target else "")
                seed = seed_for(self.spec.set.seed, "master", kind, name)
                task = MasterTask(
                    out="", shot=shot.task.out, swapper=folder, source=source, target=target,
                    config=config, segments=manipulation.segments, one_of_many=manipulation.one_of_many, seed=seed,
                )  # fmt: skip
                master = self._key("master", shot.key, key, source, target, config, manipulation.segments,
                                   manipulation.one_of_many, seed, *self._files(config))  # fmt: skip
                task = replace(task, out=str(self.work / "masters" / f"{kind}-{name}-{master[:12]}"))
                after = (shot.key,) if trained is None else (shot.key, trained)
                self._add(
                    BuildStep(master, "master", task, after, Path(task.out), shot.megapixels, shot.megapixels * 1.6e6)
                )
                about = {"model": model.name, "swapper": model.config.name, "variant": variant.lstrip("-")}
                about |= {"steps": str(step)} if step else {}
                about |= {"self": "yes"} if source == target else {}
                known = tuple((k, v) for k, v in {**about, **dict(shot.factors)}.items() if v)
                made = {"swapper": folder, "config": config}
                self._fake_clips(shot, (source, target), task.out, master, kind, name, known, **made)

    def _files(self, config: SwapConfig) -> list[str]:
        """As :func:`files_beside`, which is asked once for settings that need the same files."""
        needs = (config.restore.by if config.restore else "", config.blend.enlarge)
        if needs not in self.files:
            self.files[needs] = files_beside(config)
        return self.files[needs]

    def _reenactment(
        self,
        one: ReenactmentConfig,
        swappers: dict[str, dict[int, tuple[str, str, str | None]]],
        faces: Mapping[str, Sequence[FaceTarget]],
    ) -> None:
        """The fakes of a family of re-enactment, and its controls."""
        for drive in self.drives.drives(one, swappers, faces):
            self.driven[one.name].add(self.splits[drive.shot.person])
            for step in drive.steps:
                self._add(step)
            made = {"swapper": drive.swapper, "driver": drive.driver}
            out, master = str(drive.steps[-1].out), drive.steps[-1].key
            self._fake_clips(drive.shot, drive.pair, out, master, drive.kind, drive.name, drive.factors, **made)

    def _fake_clips(
        self,
        shot: Shot,
        pair: Pair,
        out: str,
        master: str,
        kind: str,
        name: str,
        factors: tuple[tuple[str, str], ...],
        **made: Any,
    ) -> None:
        """The clips of one master, in all renditions; ``made`` are fields of their task that say how it was made."""
        source, target = pair
        rights = self.rights[target]
        held = shot.held
        still = () if held is None else (held.kind, str(held.parent))
        if self.rights[source] != rights:
            used = "driver" if "driver" in made else "face"
            rights = f"{rights} ({used}: {self.rights[source]})"[:200]
        named = [(ClipId(self.name, kind, f"{name}@{rendition.name}"), rendition) for rendition in self._ladder]
        clips = [
            ClipTask(
                id=clip,
                recipe=self._key("fake", master, sampled, rights, factors, *still),
                rendition=sampled,
                parent=held.parent if held else self._real_id(shot, sampled if self.spec.set.controls else None),
                mask_stem=f"masks/{kind}/{name}",
                factors=factors,
            )
            for clip, sampled in ((clip, self._sampled(rendition, clip)) for clip, rendition in named)
        ]
        encode = EncodeTask(
            dataset=str(self.out), dataset_name=self.name, work=str(self.work), shot=shot.task.out, master=out,
            source_file=shot.task.source, people=shot.people, rights=rights, clips=tuple(clips), source=source,
            drop_master=not self.spec.set.keep_masters, mark=self.spec.set.mark == "both",
            held=held.kind if held else "", **made,
        )  # fmt: skip
        self._encode(encode, clips, shot, (master,))

    def _encode(self, task: EncodeTask, clips: Sequence[ClipTask], shot: Shot, after: tuple[str, ...]) -> None:
        key = self._key("clips", [clip.recipe for clip in clips])
        units = sum(encode_units(clip.rendition, shot.megapixels) for clip in clips)
        self._add(BuildStep(key, "clips", task, after, None, units, shot.megapixels * 0.1e6 * len(clips)))
        self.clips += [PlannedClip(clip, self.splits[shot.person], key) for clip in clips]

    def _key(self, *parts: object) -> str:
        return build_key(self.spec.set.mark == "both", *parts)
