"""Fuses trained detectors into one: weights of their logits by logistic regression on validation clips.

The members are not trained further. The weights are at least 0 and fitted on one logit a clip and member (the mean over
its faces), with a small ridge penalty and equally weighted classes; the fused logit of a face is the same weighted sum.
Aggregation and threshold are then chosen as at the end of a training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from detect.calibration.card import NOT_CALIBRATED
from detect.calibration.clips import refuse_trained_on
from detect.config.scoring import AggregateConfig, EvaluateConfig
from detect.data.crops import dataset_digest
from detect.data.protocols import only, parse_only
from detect.evaluation.evaluate import evaluate_clips
from detect.evaluation.result import EvaluationResult, validation_facts
from detect.metrics.classification import auc, best_threshold, has_both_classes
from detect.models.checkpoint import (
    DetectorFacts,
    OperatingPoint,
    load_detector,
    need_detector_place,
    save_detector,
    weights_digest,
)
from detect.models.contract import Detector
from detect.models.fused import FusedDetector, need_alike
from detect.models.training_record import LEARNED_NAME, TrainingRecord, read_training_record
from detect.scoring.aggregate_choice import FEWEST_CLIPS, choose_aggregation, fit_learned, reaggregated
from detect.scoring.dataset import DatasetScores, score_dataset
from detect.scoring.samples import ScoredClip, clip_samples
from detect.training.card import metric_table, validated_domain
from shared.dataset import DatasetFolder
from shared.errors import CheckpointError, ManifestError, UsageError
from shared.types import ClipRecord

FUSION_NAME = "fusion.json"

_MEAN = AggregateConfig(method="mean")
_WHAT = {
    "faces": """\
Gives one logit for one aligned face crop ({px} px, framing "{framing}"); larger means more likely forged. It is the
weighted sum of the logits of the detectors below, which are in this folder.""",
    "clips": """\
Gives one logit for a clip or a picture; larger means more likely forged. It is the log likelihood ratio of a mixture:
for each kind of fake below, the weighted sum of what the detectors say, all of them in this folder; then the mean of
these likelihood ratios over the kinds. A detector that finds nothing to score says nothing. Faces ({px} px, framing
"{framing}"), frames and regions are those of the first.""",
}
_CARD = """---
tags: [deepfake-detection, face-forensics, assay]
---

# {name}: {count} face forgery detectors as one

{what}

```
assay inspect suspect.mp4 --detector THIS_FOLDER --out case
```

{members}

{kinds}{left_out}The weights were fitted on {clips} clips of the val split of "{dataset}" by logistic
regression. Clip score: {aggregation} over the face scores; called fake from logit {threshold:+.3f} on, chosen on the
same clips.

## Measured on the validation split

This split also chose the weights and the threshold above, and its members' steps, so these numbers flatter.

{metrics}
## Calibration

{calibration}

## Limits

* It is known to work on forgeries like those that its members learned from; their cards name them.
* A high score is a reason to look closer, not a finding about a person.
"""


@dataclass(frozen=True)
class Member:
    """One of the fused detectors.

    Attributes:
        name, family, weights_sha256: of the detector.
        weight: of its logit; None for detectors that are fused clip by clip.
        auc: of the mean of its face logits, on the validation clips; or of its own clip logit.
    """

    name: str
    family: str
    weights_sha256: str
    weight: float | None
    auc: float


@dataclass(frozen=True)
class KindWeights:
    """What was fitted to one kind of fake, of detectors that are fused clip by clip.

    Attributes:
        name: the manipulation, or "others".
        clips: fakes of this kind that it was fitted on.
        weights: of each member's standardised clip logit, in the order of the members; ``bias``: added to their sum.
        auc: of its ratio on these fakes and all reals.
    """

    name: str
    clips: int
    weights: tuple[float, ...]
    bias: float
    auc: float


@dataclass(frozen=True)
class Fusion:
    """The content of ``fusion.json``.

    Attributes:
        members: the detectors; ``bias``: added to the weighted sum of their logits, None if there are kinds.
        dataset, manifest_sha256: whose val split the weights were fitted on.
        clips: number of clips with a face there.
        auc: of the mean of the fused face logits, on these clips; or of the fused clip logit.
        level: what is fused.
        left_out_auc: of fused clip logits, each by a fit without the clip's people; None where it was not measured.
        kinds: of fake, each with weights of its own, if clips are fused.
    """

    members: tuple[Member, ...]
    bias: float | None
    dataset: str
    manifest_sha256: str
    clips: int
    auc: float
    level: Literal["faces", "clips"] = "faces"
    left_out_auc: float | None = None
    kinds: tuple[KindWeights, ...] = ()


def fuse_detectors(
    detectors: Sequence[Path], dataset: Path, out: Path, config: EvaluateConfig
) -> tuple[Fusion, EvaluationResult]:
    """Writes the fusion, face by face, of trained ``detectors`` (runs or detector folders) as the folder ``out``.

    Args:
        detectors: two or more.
        dataset: set whose val split fits the weights.
        out: replaced if it holds an earlier detector.
        config: which of its clips (``only``), frames of each, device, batch; split and protocol are not used.

    Raises:
        UsageError: fewer than two, one twice, or ``out`` holds something else.
        ConfigError: they take different crops, or score sequences.
        CheckpointError: one is missing or damaged, or they find or choose faces differently.
        ManifestError: too few clips with a face in the val split.
        LeakError: a member was trained on clips or people of it, and would get too large a weight.
    """
    loaded, digests = load_members(detectors, out)
    _need_fusible([facts for _, facts in loaded])
    folder, records = validation_clips(dataset, detectors, config.only)
    config = dataclasses.replace(config, split="val", aggregate=_MEAN)
    scores = [score_dataset(path, folder, records, config) for path in detectors]
    weights, bias = fit_weights([each.clips for each in scores])
    fused = fused_clips([each.clips for each in scores], weights, bias)
    members = tuple(
        Member(facts.spec.name, facts.spec.family, digest, weight, _auc(each.clips))
        for (_, facts), digest, weight, each in zip(loaded, digests, weights, scores, strict=True)
    )
    scored = sum(bool(clip.frames) for clip in fused)
    fusion = Fusion(members, bias, folder.name, dataset_digest(folder), scored, _auc(fused))
    model = FusedDetector.of([detector for detector, _ in loaded], weights, bias)
    facts = [facts for _, facts in loaded]
    same = len({each.aggregate.method for each in facts}) == 1 and facts[0].aggregate.method != "learned"
    wanted = facts[0].aggregate if same else AggregateConfig(method="auto")
    aggregate, choice = choose_aggregation(fused, wanted)
    described = DetectorFacts(
        model.spec, facts[0].faces, facts[0].finder, aggregate, choice, initial_weights=model.initial_weights
    )
    return fusion, write_fused(out, model, described, fusion, fused, scores, detectors, config)


def load_members(detectors: Sequence[Path], out: Path) -> tuple[list[tuple[Detector, DetectorFacts]], list[str]]:
    """The ``detectors``, to be fused as ``out``, with their facts, and the SHA-256 of their weights.

    Raises:
        UsageError: fewer than two, one twice, or ``out`` holds something else.
        CheckpointError: one is missing or damaged.
    """
    if len(detectors) < 2:
        raise UsageError(f"two detectors or more are fused, got {len(detectors)}", hint="name two runs")
    need_detector_place(out, *detectors)
    loaded = [load_detector(path) for path in detectors]
    digests = [weights_digest(path) for path in detectors]
    if len(set(digests)) < len(digests):
        raise UsageError("one of the detectors is named twice", hint="a detector fused with itself is itself")
    return loaded, digests


def validation_clips(
    dataset: Path, detectors: Sequence[Path], wanted: Sequence[str]
) -> tuple[DatasetFolder, list[ClipRecord]]:
    """The set, and the clips of its val split that match ``wanted`` ("KEY=NAME"), of which no detector has learned.

    Raises:
        ManifestError: there are none.
        UsageError: a key or a name matches nothing.
        LeakError: a detector was trained on some of them, or on people of them.
    """
    folder = DatasetFolder.open(dataset)
    records = folder.records(split="val")
    if not records:
        raise folder.without_clips("val", "assign splits: assay dataset split PATH")
    records = only(records, parse_only(wanted))
    for path in detectors:
        refuse_trained_on(folder, records, path, "val")
    return folder, records


def fit_weights(clips: Sequence[Sequence[ScoredClip]]) -> tuple[tuple[float, ...], float]:
    """Weights, at least 0, and bias of the members' logits.

    Args:
        clips: for each member the same clips, aggregated by the mean over faces.

    Raises:
        ManifestError: too few of them have a face.
    """
    samples = [clip_samples(each) for each in clips]
    labels, features = samples[0].labels, np.stack([each.logits for each in samples], 1)
    if min(labels.sum(), (~labels).sum()) < FEWEST_CLIPS:
        raise ManifestError(
            f"the val split has {int(labels.sum())} fake and {int((~labels).sum())} real clips with a face, fewer than "
            f"{FEWEST_CLIPS} of a class",
            hint="take a set with a larger val split",
        )
    centre, scale = features.mean(0), np.maximum(features.std(0), 1e-6)
    found = fit_learned((features - centre) / scale, labels)
    weights = np.array(found.weights) / scale
    return tuple(map(float, weights)), float(found.bias - weights @ centre)


def fused_clips(clips: Sequence[Sequence[ScoredClip]], weights: Sequence[float], bias: float) -> list[ScoredClip]:
    """The clips with fused face logits, aggregated by the mean.

    Raises:
        CheckpointError: the members scored different faces.
    """
    together: list[ScoredClip] = []
    for same in zip(*clips, strict=True):
        places = {tuple((face.frame, face.track, face.box) for face in clip.frames) for clip in same}
        if len(places) > 1:
            raise CheckpointError(
                f"the detectors scored different faces of {same[0].record.id}",
                hint="train them with the same --finder and smallest face",
            )
        frames = [
            dataclasses.replace(faces[0], logit=bias + sum(w * f.logit for w, f in zip(weights, faces, strict=True)))
            for faces in zip(*(clip.frames for clip in same), strict=True)
        ]
        together.append(reaggregated(dataclasses.replace(same[0], frames=tuple(frames)), _MEAN))
    return together


def _need_fusible(facts: Sequence[DetectorFacts]) -> None:
    need_alike([each.spec for each in facts])
    if any((each.faces, each.finder) != (facts[0].faces, facts[0].finder) for each in facts):
        raise CheckpointError(
            "the detectors were trained on faces found or chosen differently",
            hint="train them with the same --finder and settings of faces",
        )


def write_fused(
    out: Path,
    model: Detector,
    facts: DetectorFacts,
    fusion: Fusion,
    clips: Sequence[ScoredClip],
    scores: Sequence[DatasetScores],
    detectors: Sequence[Path],
    config: EvaluateConfig,
) -> EvaluationResult:
    """Chooses the threshold, measures, and writes the folder of fused detectors.

    Args:
        out: the folder.
        model: the fused detectors.
        facts: theirs, without threshold and validation.
        fusion: what was fitted.
        clips: the validation clips with fused scores of faces.
        scores: of the members, in order.
        detectors: where the members are.
        config: of the measurement.

    Raises:
        StorageError: writing failed.
    """
    clips = [reaggregated(clip, facts.aggregate) for clip in clips]
    samples = clip_samples(clips)
    threshold = best_threshold(samples.labels, samples.logits) or 0.0
    point = OperatingPoint(threshold, f"the val split of {fusion.dataset} (largest TPR - FPR over clips)")
    result = evaluate_clips(
        clips,
        dataclasses.replace(config, aggregate=facts.aggregate),
        dataset={"name": fusion.dataset, "manifest_sha256": fusion.manifest_sha256},
        detector={"name": model.spec.name},
        operating_point=(point.logit, point.chosen_on),
    )
    facts = dataclasses.replace(facts, operating_point=point, validation=validation_facts(result))
    records = [read_training_record(path) for path in detectors]
    save_detector(
        model,
        out,
        facts,
        card=_card(facts, fusion, result),
        extra={
            FUSION_NAME: msgspec.to_builtins(fusion),
            "validated.json": validated_domain(scores[0].faces, fusion.dataset, fusion.manifest_sha256),
            LEARNED_NAME: {
                field.name: _union([getattr(record, field.name) for record in records])
                for field in dataclasses.fields(TrainingRecord)
            },
        },
    )
    return result


def _union(parts: Sequence[frozenset[str] | None]) -> list[str] | None:
    """All names of ``parts``, sorted; None if one of them is not known."""
    known = [part for part in parts if part is not None]
    return sorted(frozenset().union(*known)) if len(known) == len(parts) else None


def _card(facts: DetectorFacts, fusion: Fusion, result: EvaluationResult) -> str:
    names = [kind.name for kind in fusion.kinds] or ["weight"]
    columns = [[f"{weight:.4f}" for weight in kind.weights] for kind in fusion.kinds] or [
        [f"{each.weight:.4f}" for each in fusion.members]
    ]
    lines = [f"| detector | family | {' | '.join(names)} | clip AUC alone | weights |"]
    lines.append(f"|---|---|{'---:|' * len(names)}---:|---|")
    lines += [
        f"| {each.name} | {each.family} | {' | '.join(own)} | {each.auc:.3f} | sha256:{each.weights_sha256} |"
        for each, own in zip(fusion.members, zip(*columns, strict=True), strict=True)
    ]
    kinds = "".join(
        f"* {kind.name}: bias {kind.bias:+.4f}, fitted on {kind.clips} fakes, clip AUC {kind.auc:.3f}\n"
        for kind in fusion.kinds
    )
    return _CARD.format(
        name=facts.spec.name,
        count=len(fusion.members),
        what=_WHAT[fusion.level].format(px=facts.spec.input_px, framing=facts.spec.framing),
        left_out=""
        if fusion.left_out_auc is None
        else f"Clip AUC by fits without a clip's people: {fusion.left_out_auc:.3f}. ",
        members="\n".join(lines),
        kinds=f"{kinds}\n" if kinds else f"Bias {fusion.bias:+.4f}. ",
        clips=fusion.clips,
        dataset=fusion.dataset,
        aggregation=facts.aggregate.method,
        threshold=facts.operating_point.logit,
        metrics=metric_table(result.evaluations),
        calibration=NOT_CALIBRATED,
    )


def _auc(clips: Sequence[ScoredClip]) -> float:
    samples = clip_samples(clips)
    found = auc(samples.labels, samples.logits) if has_both_classes(samples.labels) else None
    assert found is not None  # fit_weights has checked
    return found
