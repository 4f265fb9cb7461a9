"""Evaluates a detector of speech on a split of a list, and writes the result."""

from __future__ import annotations

from pathlib import Path

import msgspec

from detect.speech.checkpoint import load_speech
from detect.speech.evaluate import SpeechEvaluation, evaluate_scored, score_utterances
from detect.speech.store import SampleStore
from detect.speech.utterances import read_speech
from shared.bootstrap import BootstrapSettings
from shared.errors import UsageError
from shared.storage import write_bytes

SPLITS = ("train", "val", "test", "all")


def evaluate_speech(
    place: str | Path, detector: str | Path, *, split: str = "test", out: Path | None = None, seed: int = 0
) -> SpeechEvaluation:
    """Metrics of ``detector`` on a ``split`` ("all" is all recordings), also written to ``out`` as JSON.

    Raises:
        UsageError: no such split, or ``out`` is a folder.
        ManifestError: there is no list, or the split lacks a class.
        CheckpointError: the detector cannot be read.
        StorageError: writing failed.
    """
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r}", hint=f"one of {', '.join(SPLITS)}")
    if out is not None and out.is_dir():
        raise UsageError(f"{out} is a folder", hint="name a file, such as result.json")
    speech, model = read_speech(Path(place)), load_speech(detector)
    chosen = speech.utterances if split == "all" else speech.part(split)  # type: ignore[arg-type]
    scored, unread = score_utterances(model.detector, chosen, SampleStore())
    facts = model.facts
    parts = evaluate_scored(
        scored, facts.likelihood, facts.step_threshold, BootstrapSettings(replicates=400, seed=seed)
    )
    result = SpeechEvaluation(
        {"name": model.name, "kind": facts.kind, "weights_sha256": model.weights_sha256},
        {"name": speech.name, "sha256": speech.digest, "split": split},
        parts,
        unread,
    )
    if out is not None:
        write_bytes(out, msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    return result
