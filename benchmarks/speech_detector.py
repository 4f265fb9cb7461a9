"""Makes the detector of synthetic speech that comes with the package, from recordings that may be given away.

Steps: voicesets of readers become a set of speech (all engines that are installed, all vocoders), the network is
trained on it and calibrated on the readers of its val split, and the folder is written with what the readers of the
test split say of it. What is there already is kept and a training that was stopped goes on, so the same command
continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.schema import Measurement
from detect.speech.card import metric_text, speech_card
from detect.speech.checkpoint import load_speech, save_speech
from detect.speech.evaluate import SpeechPart
from detect.speech.evaluation_run import evaluate_speech
from detect.speech.train import SpeechTrainConfig, train_speech
from forge.speaking.building.build import build_speech_set
from forge.speaking.building.spec import SpeechSetSpec
from shared.console import counted
from shared.speechsets.folder import SpeechSet
from shared.voices.reader import Voiceset

_SHOWN = ("eer", "cllr", "segment_f1@160ms")


@dataclass(frozen=True)
class SpeechDetectorPlan:
    """Settings.

    Attributes:
        engines: that read sentences; one that is not installed is refused.
        vocoders: of the twins.
        per_speaker: utterances of each reader.
        most_seconds: longest recording.
        steps: of the training.
        seed: of everything random.
    """

    engines: tuple[str, ...] = ("espeak", "flite", "festival", "hibari", "piper")
    vocoders: tuple[str, ...] = ("griffin-lim", "world")
    per_speaker: int = 2
    most_seconds: float = 5.0
    steps: int = 4000
    seed: int = 0

    def spec(self) -> SpeechSetSpec:
        """Of the set."""
        return SpeechSetSpec(
            "speech-1",
            license="CC-BY-4.0",
            engines=self.engines,
            vocoders=self.vocoders,
            per_speaker=self.per_speaker,
            most_seconds=self.most_seconds,
            seed=self.seed,
        )


def make(voices: Sequence[Voiceset], work: Path, out: Path, plan: SpeechDetectorPlan) -> list[Measurement]:
    """Makes the set and the run in ``work`` and the detector in ``out``; what the test split says of it.

    Raises:
        AssayError: see the steps.
    """
    made = build_speech_set(voices, work / "set", plan.spec())
    config = SpeechTrainConfig(steps=plan.steps, seed=plan.seed)
    trained = train_speech(made.path, work / "run", config)
    parts = evaluate_speech(made.path, trained.run, split="test", seed=plan.seed).parts
    model = load_speech(trained.run)
    card = speech_card(trained.facts, config.augment) + _more(made, parts, plan)
    save_speech(out, model.detector, trained.facts, card=card)
    return [
        Measurement.of(f"{part.by} {part.name}: {each.metric}", "", [each.value], note=metric_text(each))
        for part in parts
        for each in part.metrics
        if each.metric in _SHOWN
    ]


def _more(made: SpeechSet, parts: Sequence[SpeechPart], plan: SpeechDetectorPlan) -> str:
    """Sections for the card: data and rights, how it was made, and the test split."""
    real = [each for each in made.records if each.label == "real"]
    rights = sorted({each.rights for each in real})
    seconds = sum(each.seconds for each in real)
    lines = [f"| {part.by}: {part.name} | {' | '.join(_cell(part, name) for name in _SHOWN)} |" for part in parts]
    readers = counted(len({each.speaker for each in real}), "reader")
    return f"""
## On the test split

Readers of whom nothing was learned; {counted(parts[0].speakers, "speaker")}.

| part | EER | Cllr | F1 of segments of 160 ms |
|---|---|---|---|
{chr(10).join(lines)}

## Data and rights

{counted(len(real), "recording")} of {readers} ({seconds / 60:.0f} minutes), rights {", ".join(rights)};
the SHA-256 of each is in the manifest of the set. Fakes by {", ".join(plan.engines)} and by the
vocoders {", ".join(plan.vocoders)}.

## How it was made

By `python -m benchmarks speech-detector`: {plan.steps:,} steps, seed {plan.seed}, at most {plan.most_seconds:g} s of
{plan.per_speaker} utterances of a reader.
"""


def _cell(part: SpeechPart, name: str) -> str:
    found = part.find(name)
    return "" if found is None else metric_text(found)
