"""``assay forge vocode`` and ``assay forge splice``: recordings through a vocoder, and recordings with other words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forge.speaking.contract import DEFAULT_ENGINE
from shared.commands.completion import words
from shared.commands.options import SeedOption
from shared.console import console
from shared.errors import UsageError

if TYPE_CHECKING:
    from forge.speaking.output import SpeechFile
    from shared.audio.sound import Sound

_SPAN = re.compile(r"(\d{1,5}(?:\.\d{1,6})?)-(\d{1,5}(?:\.\d{1,6})?)")

_Recording = Annotated[Path, typer.Argument(help="A recording of speech.", show_default=False)]
_Rights = Annotated[str, typer.Option(help="Basis of use of the voice: consent, CC-BY-4.0, ...", show_default=False)]
_Out = Annotated[Path, typer.Option(help="File: .wav, .flac, .mp3 or .m4a.", show_default=False)]


def vocode(
    recording: _Recording,
    rights: _Rights,
    out: _Out,
    vocoder: Annotated[
        str, typer.Option(help="griffin-lim, world or istft.", autocompletion=words("griffin-lim", "istft", "world"))
    ] = "griffin-lim",
    run: Annotated[Path | None, typer.Option(help="Run of a trained vocoder, for istft.", show_default=False)] = None,
    span: Annotated[
        list[str] | None, typer.Option(help="Only these seconds, 1.20-1.85; may be repeated.", show_default="all")
    ] = None,
    seed: SeedOption = None,
) -> None:
    """Makes the vocoded twin of a recording: the same words at the same times, through a vocoder.

    With --span, only that part is taken from the twin, and the record names its samples.

    Example: assay forge vocode ann.wav --rights consent --vocoder world --out ann-world.wav

    Example: assay forge vocode ann.wav --rights consent --vocoder istft --run runs/vocoder --out ann-istft.wav
    """
    from forge.speaking.output import open_recording
    from forge.speaking.partial import with_twin
    from forge.speaking.vocoders import vocoded
    from forge.speaking.vocoding.checkpoint import load_vocoder

    model = None if run is None else load_vocoder(run)
    sound = open_recording(recording, rights, out)
    spans = _spans(span or [], sound)
    twin = vocoded(sound, vocoder, seed=seed or 0, model=model)
    segments: Sequence[tuple[int, int]] = ((0, len(twin)),)
    if spans:
        fake = with_twin(sound, twin, spans)
        twin, segments = fake.sound, fake.segments
    name = f"{vocoder} in part" if spans else vocoder
    facts = {
        "vocoder": vocoder,
        "vocoder_weights_sha256": None if model is None else model.weights_sha256,
        "seed": seed or 0,
    }
    _write(recording, out, twin, name, {**facts, "rights": rights, "segments": _text_of(segments)}, segments)


def splice(
    recording: _Recording,
    rights: _Rights,
    out: _Out,
    span: Annotated[list[str], typer.Option(help="Seconds that are replaced, 1.20-1.85; may be repeated.")],
    say: Annotated[list[str], typer.Option(help="What is said there instead, once for each --span.")],
    engine: Annotated[
        str, typer.Option(help="Engine that says it.", autocompletion=words("hibari", "espeak", "piper", "flite"))
    ] = DEFAULT_ENGINE,
    voice: Annotated[str | None, typer.Option(help="Voice of the engine.", show_default="its first")] = None,
    seed: SeedOption = None,
) -> None:
    """Replaces parts of a recording by an engine's speech: a partial fake, labelled to the sample.

    Example: assay forge splice ann.wav --rights consent --span 1.20-1.85 --say "at nine" --out changed.wav
    """
    from forge.speaking.contract import say as spoken
    from forge.speaking.output import open_recording
    from forge.speaking.partial import checked_spans, with_speech

    sound = open_recording(recording, rights, out)
    spans = checked_spans(_spans(span, sound), sound)
    if len(say) != len(spans):
        raise UsageError("each span is replaced by one text", hint="give --say as often as --span")
    speech = [spoken(text, engine=engine, voice=voice, seed=seed or 0) for text in say]
    fake = with_speech(sound, spans, [one.sound for one in speech])
    facts = {
        "engine": engine,
        "voice": speech[0].info.voice,
        "text": " / ".join(say)[:500],
        "seed": seed or 0,
        "rights": rights,
        "segments": _text_of(fake.segments),
        "replaced": _text_of(fake.replaced),
    }
    _write(recording, out, fake.sound, f"{engine} in part", facts, fake.segments)


def _spans(texts: Sequence[str], sound: Sound) -> list[tuple[int, int]]:
    found = []
    for text in texts:
        match = _SPAN.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is no span of seconds", hint="--span 1.20-1.85")
        found.append((round(float(match[1]) * sound.rate), round(float(match[2]) * sound.rate)))
    return found


def _text_of(segments: Sequence[tuple[int, int]]) -> str:
    return ",".join(f"{first}-{stop}" for first, stop in segments)


def _write(
    recording: Path, out: Path, sound: Sound, name: str, facts: dict[str, str | int | None],
    segments: Sequence[tuple[int, int]],
) -> None:  # fmt: skip
    from forge.speaking.output import write_speech

    made: SpeechFile = write_speech(out, sound, manipulation=name, facts=facts, ingredient=recording)
    share = sum(stop - first for first, stop in segments) / max(1, len(sound))
    console.print(f"{out}: {sound.seconds:.2f} s, {share:.0%} of it synthetic speech by {name}; marked and signed")
    console.result(
        {
            "path": str(out),
            "seconds": sound.seconds,
            "rate": sound.rate,
            "sha256": made.sha256,
            "mark": made.mark,
            "segments": [list(each) for each in segments],
            "record": dict(made.facts),
        }
    )
