"""The model card of a detector: training data, measured performance and limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detect.calibration.card import NOT_CALIBRATED
from detect.config.training import TrainConfig
from detect.data.crops import ClipFaces
from detect.evaluation.result import EvaluationResult
from detect.models import DetectorSpec
from detect.models.checkpoint import DetectorFacts
from detect.training.choice import OWN
from detect.training.validation_report import ValidationReport
from shared.results.scores import Evaluation
from shared.types import SPLITS, ClipRecord

_CARD = """---
library_name: timm
pipeline_tag: image-classification
tags: [deepfake-detection, face-forensics, assay]
---

# {name}: a face forgery detector

Gives one logit for {scored}; larger means more likely forged. Trained with Assay on the dataset
"{dataset}".
{leak}
## Use

```
assay inspect suspect.mp4 --detector THIS_FOLDER --out case
```

{alone}

## Input

| | |
|---|---|
| crop | {px} x {px} px, framing "{framing}", aligned on 68 landmarks |
| values | RGB in [0, 1], minus {mean}, divided by {std} |
| faces | found by {finder}; narrower than {min_face_px:g} px left out |
| clip score | {aggregation} over the face scores, chosen by {aggregation_by} |
| called fake | from logit {threshold:+.3f} on, chosen on {threshold_from} |

## Learned from

{data}
Started from {initial_weights}. {steps} steps of {batch} crops (half of them fake), learning rate {lr:g}, seed {seed};
kept: step {best_step}, by {chosen_by}.

## Measured on the validation split

This split also chose the step and the threshold above, so these numbers flatter. Measure on a test split, and on
forgeries of other kinds: `assay detect evaluate THIS_FOLDER SET`.

{counts}. {clusters}.

{metrics}
{aggregations}{notes}
{validation}## Calibration

{calibration}

## Limits

* It is known to work on forgeries like those above. On other methods, heavier compression, smaller faces or other
  cameras it may fail without a sign.
* A high score is a reason to look closer, not a finding about a person.
"""

_VALIDATION = """## Validation

{sentence}

{grades}

{spread}
{comparisons}
"""
_GRADES_CAPTION = """Graded fakes are made from real faces of validation: the face itself, or a swapper's copy of it,
pasted by ways that training does not use, at falling strength. Pairs are a fake and the real face it was made from."""
_COMPARISONS_CAPTION = "What the scores of the set's own fakes could owe to anything but the forgery:"

_TIMM = """or, on crops cut as described below, with timm alone:

```python
model = timm.create_model("local-dir:THIS_FOLDER", pretrained=True).eval()   # (B, 3, PX, PX) -> (B, 1)
```"""
_ONNX = """or anywhere else, after `assay detect export THIS_FOLDER --format onnx --out detector.onnx`. The network
is more than a timm model, so timm alone does not load it."""


@dataclass(frozen=True)
class CardFacts:
    """Facts of the card beside those of the detector.

    Attributes:
        dataset: its name.
        clips: by split.
        config: of the training.
        steps: how many were trained.
        best_step: the exported step.
        chosen_by: the metric that chose it.
        leak: what the splits share, if that was allowed.
        validation: what validation shows at that step.
    """

    dataset: str
    clips: Mapping[str, Sequence[ClipFaces]]
    config: TrainConfig
    steps: int
    best_step: int
    chosen_by: str
    leak: str | None = None
    validation: ValidationReport | None = None
    extra_notes: tuple[str, ...] = field(default_factory=tuple)


def render_card(detector: DetectorFacts, facts: CardFacts, validation: EvaluationResult) -> str:
    """The card as Markdown."""
    spec, config = detector.spec, facts.config
    leak = ""
    if facts.leak:
        leak = f"\n> **The splits leaked when this was trained** ({facts.leak}). The numbers below say little.\n"
    return _CARD.format(
        name=spec.name,
        scored=_input_text(spec),
        alone=(_TIMM if spec.family == "frame" else _ONNX).replace("PX", str(spec.input_px)),
        dataset=facts.dataset,
        leak=leak,
        px=spec.input_px,
        framing=spec.framing,
        mean=_triple(spec.mean),
        std=_triple(spec.std),
        finder=detector.finder.get("name", "an unknown finder"),
        min_face_px=detector.faces.min_face_px,
        aggregation=detector.aggregate.method,
        aggregation_by=detector.aggregation.chosen_by,
        aggregations=_aggregations(detector),
        threshold=detector.operating_point.logit,
        threshold_from=detector.operating_point.chosen_on,
        data=_data_table(facts.clips),
        initial_weights=_initial(detector.initial_weights),
        steps=facts.steps,
        batch=config.batch,
        lr=config.lr,
        seed=config.seed,
        best_step=facts.best_step,
        chosen_by=facts.chosen_by,
        counts=str(validation.counts),
        clusters=validation.clusters.capitalize(),
        metrics=metric_table(validation.evaluations),
        calibration=NOT_CALIBRATED,
        validation="" if facts.validation is None else validation_section(facts.validation),
        notes="".join(f"\n{note}\n" for note in (*validation.notes, *facts.extra_notes)),
    )


def validation_section(report: ValidationReport) -> str:
    """What validation shows, as a section of the card in Markdown, with a blank line at its end."""
    sentence = f"{_solved_text(report)} Kept: step {report.step}, by {report.chosen}."
    if len(report.grades) > 1:
        sentence += f"\n\n{_GRADES_CAPTION}"
    comparisons = ""
    if report.comparisons:
        lines = ["| what scores | AUC | 95 % interval | |", "|---|---|---|---|"]
        lines += [f"| {c.name} | {c.auc:.3f} | {_bounds(c.low, c.high)} | {c.note} |" for c in report.comparisons]
        comparisons = "\n".join([f"\n{_COMPARISONS_CAPTION}", "", *lines]) + "\n"
    return _VALIDATION.format(
        sentence=sentence, grades=_grade_table(report), spread=_spread_text(report), comparisons=comparisons
    )


def _solved_text(report: ValidationReport) -> str:
    if report.solved_at is not None:
        return f"**Validation was solved at step {report.solved_at}**: from there on it cannot tell steps apart."
    if OWN in report.solved:
        return f"The set's own fakes were solved at step {report.solved[OWN]}; not every grade was."
    return "Validation was not solved."


def _spread_text(report: ValidationReport) -> str:
    if report.spread is None:
        return ""
    text = f"Mean logits of {report.people} real people differ by {report.spread:.2f} (standard deviation)"
    moved = next((grade for grade in report.grades if grade.shift is not None), None)
    if moved is None:
        return f"{text}.\n"
    kind = "A fake of the set" if moved.name == OWN else f"A fake of grade {moved.name}"
    return f"{text}. {kind} scores {moved.shift:+.2f} against its own real face on average.\n"


def _grade_table(report: ValidationReport) -> str:
    lines = [
        "| fakes | AUC | 95 % interval | paired accuracy | shift of the logit | fakes | people | solved |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for grade in report.grades:
        solved = f"step {report.solved[grade.name]}" if grade.name in report.solved else "no"
        paired, shift = ("" if value is None else f"{value:.3f}" for value in (grade.paired, grade.shift))
        bounds = _bounds(grade.low, grade.high)
        lines.append(
            f"| {grade.name} | {grade.auc:.3f} | {bounds} | {paired} | {shift} | {grade.fakes} | {grade.people} "
            f"| {solved} |"
        )
    return "\n".join(lines)


def _bounds(low: float | None, high: float | None) -> str:
    return "no interval" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def validated_domain(clips: Sequence[ClipFaces], dataset: str, digest: str) -> dict[str, Any]:
    """The validated domain of a detector: sizes, codecs, renditions, manipulations, faces.

    The measured performance does not apply to files outside it.
    """
    widths = [row[2] - row[0] for clip in clips if clip.faceset for row in clip.faceset.table["box"].to_pylist()]
    quantiles = np.quantile(widths, (0.0, 0.05, 0.5, 0.95, 1.0)).round(1).tolist() if widths else []
    records = [clip.record for clip in clips]
    return {
        "dataset": dataset,
        "manifest_sha256": digest,
        "split": "val",
        "clips": len(records),
        "faces": len(widths),
        "face_px_quantiles": dict(zip(("min", "5%", "50%", "95%", "max"), quantiles, strict=False)),
        "sizes": sorted({f"{record.width}x{record.height}" for record in records}),
        "codecs": sorted({record.codec for record in records}),
        "renditions": sorted({record.rendition for record in records}),
        "manipulations": sorted({record.id.manipulation for record in records if record.id.manipulation}),
    }


def metric_table(evaluations: Sequence[Evaluation]) -> str:
    """Metrics as a Markdown table, one row each, with level, value, interval and counts."""
    lines = ["| level | metric | value | 95 % interval | real | fake |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {e.level} | {e.metric} | {e.value:.3f} | {interval_text(e)} | {e.num_real} | {e.num_fake} |"
        for e in evaluations
    ]
    return "\n".join(lines) + "\n"


def interval_text(evaluation: Evaluation) -> str:
    """The interval as text; "no interval" if there is none."""
    if evaluation.low is None or evaluation.high is None:
        return "no interval"
    return f"{evaluation.low:.3f} to {evaluation.high:.3f}"


def _data_table(clips: Mapping[str, Sequence[ClipFaces]]) -> str:
    lines = ["| split | clips | people | real | fake | without a face | faces |", "|---|---|---|---|---|---|---|"]
    for split in SPLITS:
        if split not in clips:
            continue
        records = [clip.record for clip in clips[split]]
        labels = Counter(record.label for record in records)
        people = {person for record in records for person in record.identities}
        blind = sum(clip.faceset is None for clip in clips[split])
        faces = sum(clip.truth.size for clip in clips[split])
        row = (split, len(records), len(people), labels["real"], labels["fake"], blind, faces)
        lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    every = [clip.record for group in clips.values() for clip in group]
    own = sum(record.is_self_swap for record in every)
    selves = f" {own} of them give people their own face, and count as forged." if own else ""
    return "\n".join(lines) + f"\n\nForgeries: {_manipulations(every)}.{selves}\n"


def _aggregations(detector: DetectorFacts) -> str:
    table = detector.aggregation.table()
    caption = "How the ways to bring face scores together did there (the learned one on people it was not fitted on):"
    return f"\n{caption}\n\n{table}" if table else ""


def _manipulations(records: Sequence[ClipRecord]) -> str:
    found = Counter(record.id.manipulation for record in records if record.id.manipulation)
    return ", ".join(f"{name} ({count})" for name, count in sorted(found.items())) or "none"


def _initial(weights: str) -> str:
    return "random weights" if weights == "random" else f"ImageNet weights ({weights})"


def _input_text(spec: DetectorSpec) -> str:
    if spec.reads == "landmarks":
        return f"the landmarks of a face in {spec.frames_per_clip} frames, 25 a second"
    if spec.level == "clip":
        return f"a sequence of {spec.frames_per_clip} aligned crops of a face"
    return "one aligned face crop"


def _triple(values: tuple[float, float, float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
