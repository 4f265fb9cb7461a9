"""Data of detector training: a dataset's faces, additional real faces, and pairs of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detect.config.training import TrainConfig
from detect.data.batches import Mixture
from detect.data.crops import ClipFaces, CropRequest, CropStore, dataset_digest, find_faces
from detect.data.grades import GradeSet, choose_faces, make_grades, open_real, open_twins, unused_pastes
from detect.data.masks import MASK_PX, ForgedMasks
from detect.data.pairs import BalancedSampler, BlendedPairs, ForgedPairs, PairSource, partners_of
from detect.data.protocols import leave_out
from detect.data.real_faces import FaceStack, RealFaces, read_stack, refuse_known, refuse_trained
from detect.data.sequences import STRIDES, BlendedSequences, ForgedSequences, RealTracks
from detect.data.strength import FrameOffsets
from detect.models import DetectorSpec
from detect.models.contract import Reads
from shared.console import console
from shared.dataset import DatasetFolder
from shared.device import Device
from shared.errors import ConfigError
from shared.faces.facesets.reader import Faceset
from shared.faces.finders.finder import FaceFinder, make_finder
from shared.types import Split

_MAX_FINDERS = 4


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The faces of the train and val splits, and additional training data.

    Attributes:
        folder: the dataset.
        name, digest: its name, and the digest of its manifest.
        clips: its clips by split; the test split is not among them.
        finder: description of the face finder.
        leak: what splits share, if that was allowed.
        masks: the forged regions of the train clips; None for a detector without a mask output.
        stacks: real faces to blend, in addition to the train split's.
        facesets: digests of the facesets read, by name.
        sequence: number of faces of a track in a sequence; None for detectors of single faces.
        reads: what the detector reads of a face.
    """

    folder: DatasetFolder
    name: str
    digest: str
    clips: dict[Split, list[ClipFaces]]
    finder: dict[str, str]
    leak: str | None
    masks: ForgedMasks | None = None
    stacks: tuple[FaceStack, ...] = ()
    facesets: dict[str, str] = field(default_factory=dict)
    sequence: int | None = None
    reads: Reads = "pixels"

    def mixture(self, store: CropStore, config: TrainConfig) -> Mixture:
        """The sources of pairs in ``config.mix``; ``store`` reads the crops of the train clips.

        Raises:
            ManifestError: the train split lacks a class that forged pairs need.
            FacesetError: there is no real face to blend.
        """
        mix = config.mix
        sources: list[PairSource] = []
        shares: list[float] = []
        if mix.forged:
            sources.append(self._forged(store, config))
            shares.append(mix.forged)
        if mix.blended:
            sources.append(self._blended(store, config))
            shares.append(mix.blended)
        return Mixture(sources, shares)

    def grades(self, spec: DetectorSpec, config: TrainConfig) -> tuple[GradeSet, ...]:
        """The grades of validation; empty where there is no real face to make them from, or they are turned off.

        Raises:
            ConfigError: they do not fit in memory.
            FacesetError: a faceset or a crop is missing or damaged.
        """
        wanted = config.validation
        if not wanted.grades or self.reads == "landmarks":
            return ()
        faces = choose_faces(self.clips["val"], wanted, spec)
        pastes = unused_pastes(wanted, config.self_blend.pastes if config.mix.blended else ())
        return make_grades(faces, wanted, pastes=pastes, workers=config.workers)

    def _forged(self, store: CropStore, config: TrainConfig) -> PairSource:
        clips = self.clips["train"]
        partners = partners_of(clips)
        sampler = BalancedSampler(clips, paired=config.mix.paired, partners=partners)
        if self.sequence is not None:
            strides = (1,) if self.reads == "landmarks" else STRIDES
            return ForgedSequences(clips, sampler, store.crop, partners, frames=self.sequence, strides=strides)
        masks, offsets = self.masks.mask if self.masks else None, FrameOffsets(clips)
        return ForgedPairs(sampler, store.crop, masks, ratios=config.mix.forged_ratios, offset=offsets.offset)

    def _blended(self, store: CropStore, config: TrainConfig) -> PairSource:
        clips, mix = self.clips["train"], config.mix
        if self.sequence is not None:
            return BlendedSequences(
                RealTracks(clips, store.crop),
                RealFaces(self.stacks) if self.stacks else None,
                config.self_blend,
                frames=self.sequence,
                twins=mix.twins,
                video_share=mix.video_share,
            )
        from_clips = real_stack(clips, store)
        wanted = _stack_shares(from_clips, self.stacks, mix.video_share)
        faces = RealFaces((from_clips, *self.stacks), wanted)
        return BlendedPairs(
            faces, config.self_blend, twins=mix.twins, others=mix.others, mouths=mix.mouths, mask_px=MASK_PX
        )


def prepare(
    folder: DatasetFolder, spec: DetectorSpec, config: TrainConfig, device: Device, leak: str | None
) -> TrainingData:
    """Finds the faces of the train and val clips and reads additional real faces. Test clips are not read.

    Raises:
        ManifestError: a split has no clip, or a file does not match the manifest.
        ConfigError: blended pairs are asked for of a detector that reads landmarks.
        LeakError: real faces are of people or clips in the val or test split.
        FacesetError: a faceset is damaged or of the wrong kind.
        MediaError: a clip or a mask cannot be read.
    """
    if spec.reads == "landmarks" and config.mix.blended:
        raise ConfigError(
            f"a {spec.family} detector reads landmarks, which blending does not move",
            hint="leave --blended out: it learns from a set's own fakes",
        )
    splits: tuple[Split, ...] = ("train", "val")
    kept = leave_out([r for r in folder.records() if r.split in splits], config.leave_out)
    if config.self_swaps == "leave-out":
        kept = [record for record in kept if not record.is_self_swap]
    records = {split: [record for record in kept if record.split == split] for split in splits}
    for split, found in records.items():
        if not found:
            raise folder.without_clips(split, "assign splits: assay dataset split PATH")
    real, twins = [Path(path) for path in config.mix.real_faces], [Path(path) for path in config.mix.twin_faces]
    held_out = [record for record in folder.records() if record.split != "train"]
    refuse_known(real, held_out, allowed=config.allow_leak)
    validation = _check_validation(folder, config, real)
    made: list[FaceFinder] = []

    def make() -> FaceFinder:
        made.append(make_finder(config.faces.finder, device=str(device.torch_device)))
        return made[-1]

    request = CropRequest.of(spec, config.frames_per_clip, config.faces)
    workers = max(1, min(_MAX_FINDERS, config.workers // 2))
    together = find_faces(folder, [r for split in splits for r in records[split]], request, make, workers=workers)
    clips = {"train": together[: len(records["train"])], "val": together[len(records["train"]) :]}
    used = (*real, *twins) if config.mix.blended else ()
    has_region = spec.has_mask and config.mix.forged > 0
    return TrainingData(
        folder=folder,
        name=folder.name,
        digest=dataset_digest(folder),
        clips=clips,  # type: ignore[arg-type]
        finder=made[0].describe(),
        leak=leak,
        masks=ForgedMasks(folder, clips["train"]) if has_region else None,
        stacks=tuple(_stacks(real, twins, spec)) if config.mix.blended else (),
        facesets={str(path): Faceset.open(path).digest() for path in (*used, *validation)},
        sequence=spec.frames_per_clip if spec.level == "clip" else None,
        reads=spec.reads,
    )


def _check_validation(folder: DatasetFolder, config: TrainConfig, learned: Sequence[Path]) -> tuple[Path, ...]:
    """The facesets of validation, which are real and generated ones, and of people of the val split or new ones."""
    wanted = config.validation
    if not wanted.grades:
        return ()
    real, twins = tuple(map(Path, wanted.real_faces)), tuple(map(Path, wanted.twin_faces))
    for path in real:
        open_real(path)
    for path in twins:
        open_twins(path)
    others = [record for record in folder.records() if record.split != "val"]
    refuse_known(real, others, allowed=config.allow_leak, where="train or test split")
    refuse_trained(real, learned if config.mix.blended else (), allowed=config.allow_leak)
    return *real, *twins


def real_stack(clips: Sequence[ClipFaces], store: CropStore) -> FaceStack:
    """The faces of the real ``clips``, without the unmodified frames of fakes."""
    crops: list[np.ndarray] = []
    landmarks: list[np.ndarray] = []
    groups: list[np.ndarray] = []
    for place, clip in enumerate(clips):
        if clip.faceset is None or clip.record.label != "real":
            continue
        kept = np.flatnonzero(clip.truth == 0)
        crops.append(store.crops(place)[kept])
        landmarks.append(clip.faceset.landmarks_in_crop()[kept])
        groups.append(np.full(len(kept), place, np.int32))
    if not crops:
        return FaceStack(
            "clips", np.empty((0, 1, 1, 3), np.uint8), np.empty((0, 68, 2), np.float32), np.empty(0, np.int32)
        )
    return FaceStack("clips", np.concatenate(crops), np.concatenate(landmarks), np.concatenate(groups))


def _stacks(real: Sequence[Path], twins: Sequence[Path], spec: DetectorSpec) -> Iterator[FaceStack]:
    with console.progress("reading real faces", len(real), unit="faceset") as tick:
        for path in real:
            yield read_stack(path, twins, px=spec.input_px, framing=spec.framing)
            tick()


def _stack_shares(clips: FaceStack, others: Sequence[FaceStack], video_share: float | None) -> list[float] | None:
    """Sampling share of each stack, the clips' first; None for sampling by size."""
    if video_share is None or not others or not len(clips.crops):
        return None
    groups = [float(len(np.unique(stack.groups))) for stack in others]
    return [video_share, *((1 - video_share) * count / sum(groups) for count in groups)]
