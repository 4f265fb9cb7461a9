"""The commands that measure engines of speech, sets of it, and models of voices."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import new_result

Packages = Annotated[
    Path | None,
    typer.Option(help="Folder with resemblyzer and pocketsphinx, by pip install --target.", show_default="installed"),
]


@app.command("speech-sets")
def speech_sets(
    media: Annotated[
        Path | None, typer.Option(help="Folder with speech/ten/READER.", show_default="$ASSAY_MEDIA/media")
    ] = None,
    texts: Annotated[int, typer.Option(help="Sentences that each engine reads.", min=1)] = 5,
    per_speaker: Annotated[int, typer.Option(help="Utterances of each reader.", min=1)] = 4,
    readers: Annotated[int, typer.Option(help="Readers, at most.", min=4)] = 8,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    save: Save = None,
) -> None:
    """Speed of engines, whether vocoded twins keep their times, and which shortcuts are left in a set of speech."""
    from benchmarks.speech_sets import measurements

    root = media or (Path(os.environ["ASSAY_MEDIA"]) / "media" if "ASSAY_MEDIA" in os.environ else None)
    folder = root / "speech" / "ten" if root is not None and (root / "speech" / "ten").is_dir() else None
    settings = {"texts": texts, "per_speaker": per_speaker, "readers": readers, "seed": seed,
                "recordings": folder is not None}  # fmt: skip
    found = measurements(folder, texts=texts, per_speaker=per_speaker, most=readers, seed=seed)
    show(new_result("speech-sets", command_line(), found, settings=settings), save)


@app.command("voice")
def voice(
    run: Annotated[Path, typer.Argument(help="Run of a voice model.", show_default=False)],
    voices: Annotated[
        list[Path], typer.Argument(help="Voicesets of its identities, or folders of them.", show_default=False)
    ],
    packages: Packages = None,
    targets: Annotated[int, typer.Option(help="Identities that each utterance is converted to.", min=1)] = 3,
    sentences: Annotated[int, typer.Option(help="Sentences whose words are counted.", min=0)] = 16,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    save: Save = None,
) -> None:
    """A voice model on utterances it did not learn from: whose voice, pitch, words, speed."""
    import dataclasses

    from benchmarks.voice import measure
    from forge.speaking.conversion.checkpoint import load_voice_model
    from shared.voices.reader import read_voiceset, voicesets_in

    model = load_voice_model(run)
    sets = [read_voiceset(path) for folder in voices for path in voicesets_in(folder)]
    settings = {"weights_sha256": model.weights_sha256, "steps": model.facts.steps,
                "population": model.facts.population, "seed": seed, "sentences": sentences, "targets": targets,
                "identities": [dataclasses.asdict(each) for each in model.facts.identities]}  # fmt: skip
    found = measure(model, sets, packages, targets=targets, sentences=sentences, seed=seed)
    show(new_result("voice", command_line(), found, settings=settings), save)


@app.command("text-voice")
def text_voice(
    run: Annotated[Path, typer.Argument(help="Run of a voice model with a text encoder.", show_default=False)],
    voices: Annotated[
        list[Path], typer.Argument(help="Voicesets of its identities, or folders of them.", show_default=False)
    ],
    packages: Packages = None,
    sentences: Annotated[int, typer.Option(help="Sentences, at most 30.", min=1, max=30)] = 30,
    targets: Annotated[int, typer.Option(help="Identities that read each sentence, in turn.", min=1)] = 8,
    heard: Annotated[int, typer.Option(help="Readings of a sentence whose words are counted.", min=0)] = 2,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    save: Save = None,
) -> None:
    """Texts read by the identities of a voice model: whose voice, words, times of phones, speed."""
    import dataclasses

    from benchmarks.text_voice import measure
    from forge.speaking.conversion.checkpoint import load_voice_model
    from forge.speaking.reading.checkpoint import load_text_model
    from shared.voices.reader import read_voiceset, voicesets_in

    model = load_voice_model(run)
    encoder = load_text_model(run, model)
    sets = [read_voiceset(path) for folder in voices for path in voicesets_in(folder)]
    settings = {"weights_sha256": model.weights_sha256, "text_weights_sha256": encoder.weights_sha256,
                "steps": encoder.facts.steps, "trained_on": encoder.facts.sentences, "sentences": sentences,
                "targets": targets, "heard": heard, "seed": seed,
                "front_end": dataclasses.asdict(encoder.facts.front_end)}  # fmt: skip
    found = measure(model, encoder, sets, packages, sentences=sentences, targets=targets, heard=heard, seed=seed)
    show(new_result("text-voice", command_line(), found, settings=settings), save)


@app.command("vocoder")
def vocoder(
    run: Annotated[Path, typer.Argument(help="Run of a trained vocoder.", show_default=False)],
    voices: Annotated[
        list[Path],
        typer.Argument(help="Voicesets that it did not learn from, or folders of them.", show_default=False),
    ],
    packages: Packages = None,
    utterances: Annotated[int, typer.Option(help="Utterances of each voice, at most.", min=1)] = 3,
    sentences: Annotated[int, typer.Option(help="Sentences whose words are counted.", min=0)] = 16,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    save: Save = None,
) -> None:
    """The trained vocoder beside Griffin-Lim and WORLD on readers it did not learn from: spectra, times, words."""
    from benchmarks.vocoder import measure
    from forge.speaking.vocoding.checkpoint import load_vocoder
    from shared.voices.reader import read_voiceset, voicesets_in

    model = load_vocoder(run)
    sets = [read_voiceset(path) for folder in voices for path in voicesets_in(folder)]
    settings = {"weights_sha256": model.weights_sha256, "steps": model.facts.steps, "seed": seed,
                "learned_from": f"{model.facts.seconds:.0f} s of {len(model.facts.voices)} voices",
                "voices": [one.info.identity for one in sets], "utterances": utterances,
                "sentences": sentences}  # fmt: skip
    found = measure(model, sets, packages, utterances=utterances, sentences=sentences, seed=seed)
    show(new_result("vocoder", command_line(), found, settings=settings), save)
