"""The model card of a detector of speech."""

from __future__ import annotations

import dataclasses

from detect.speech.augment import AugmentConfig
from detect.speech.checkpoint import SpeechFacts
from shared.results.scores import Evaluation

WORDS = {
    "auc": "AUC",
    "eer": "EER",
    "min_dcf": "minDCF (ASVspoof 5)",
    "act_dcf": "actDCF (ASVspoof 5)",
    "cllr": "Cllr",
    "segment_f1@20ms": "F1 of segments of 20 ms",
    "segment_f1@160ms": "F1 of segments of 160 ms",
}
"""Names of metrics for readers."""


def metric_text(found: Evaluation) -> str:
    """Value and interval of a metric."""
    bounds = "no interval" if found.low is None or found.high is None else f"{found.low:.3f} to {found.high:.3f}"
    return f"{found.value:.3f} ({bounds})"


def speech_card(facts: SpeechFacts, augment: AugmentConfig) -> str:
    """Markdown: what it is, what it was trained on, how it did on the validation split, what it does not know."""
    rows = "\n".join(f"| {WORDS.get(each.metric, each.metric)} | {metric_text(each)} |" for each in facts.quality)
    learned = "\n".join(f"* {name}: {value}" for name, value in facts.trained_on.items())
    changes = ", ".join(f"{name} {value:g}" for name, value in dataclasses.asdict(augment).items())
    chosen = [f"{name} {value}" for name, value in dataclasses.asdict(facts.options).items() if value]
    network = f"\n* options of the network: {', '.join(chosen)}" if chosen else ""
    calibrated = f"Likelihood ratios: fitted on {facts.population}." if facts.likelihood else "No likelihood ratios."
    return f"""# Detector of synthetic speech ({facts.kind})

Gives a logit every 20 ms of a sound and one for the whole; positive means fake. Made by Assay.

## Trained on

{learned}
* engines: {", ".join(facts.engines)}
* chances of changes in training: {changes}{network}

## On the validation split

{facts.population}. Intervals are over speakers.

| metric | value (95 % interval) |
|---|---|
{rows}

Threshold {facts.threshold:+.3f}, from {facts.threshold_from}; a segment stands out
from {facts.stands_out:+.3f} on. {calibrated} They hold for sounds within: {facts.domain}.

## Limits

It knows the engines above and engines like them. Others may pass as real; unusual lines, music, singing and several
voices at once may look fake. A low score is no proof of a real voice.
"""
