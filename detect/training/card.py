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
## Calibration

{calibration}

## Limits

* It is known to work on forgeries like those above. On other methods, heavier compression, smaller faces or other
  cameras it may fail without a sign.
* A high score is a reason to look closer, not a finding about a person.
"""

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
    """

    dataset: str
    clips: Mapping[str, Sequence[ClipFaces]]
    config: TrainConfig
    steps: int
    best_step: int
    chosen_by: str
    leak: str | None = None
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
        notes="".join(f"\n{note}\n" for note in (*validation.notes, *facts.extra_notes)),
    )


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
    if spec.level == "clip":
        return f"a sequence of {spec.frames_per_clip} aligned crops of a face"
    return "one aligned face crop"


def _triple(values: tuple[float, float, float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values) + ")"
