"""``assay forge``: train swappers, make fakes, measure them. The commands are in ``forge/commands``."""

from __future__ import annotations

import typer

from forge.commands.build import build
from forge.commands.coverage import coverage
from forge.commands.export import export
from forge.commands.generate import generate, train_generator
from forge.commands.lr import lr
from forge.commands.models import models
from forge.commands.pastes import pastes
from forge.commands.quality import quality
from forge.commands.recipes import recipes
from forge.commands.redraw import redraw
from forge.commands.reenact import reenact
from forge.commands.speak import engines, speak
from forge.commands.speech_set import speech_set
from forge.commands.suggest import suggest
from forge.commands.swap import swap
from forge.commands.train import train
from forge.commands.train_reenactor import train_reenactor
from forge.commands.vocode import splice, vocode
from forge.commands.voice import convert, train_text, train_voice

app = typer.Typer(help="Train swappers, make labelled fakes, measure them.", no_args_is_help=True)
_SWAPS = (train, coverage, lr, swap, reenact, quality, redraw, build, suggest, export, models, recipes, pastes)
_SPEECH = (speak, engines, vocode, splice, convert)
app.command("train-generator")(train_generator)
app.command("train-reenactor")(train_reenactor)
for command in (generate, *_SWAPS, *_SPEECH):
    app.command()(command)
app.command("speech-set")(speech_set)
app.command("train-voice")(train_voice)
app.command("train-text")(train_text)


def speech_engines() -> list[tuple[str, str, str]]:
    """Name, voices and what is missing of each speech engine, for ``assay doctor``."""
    from forge.speaking.contract import engine_states

    return [(one.name, ", ".join(one.voices), one.missing or "") for one in engine_states()]


def step_milliseconds(device: str) -> float:
    """How long one training step of a small swapper takes, for ``assay doctor``; see :mod:`forge.training.trial`."""
    from forge.training.trial import step_milliseconds as measured

    return measured(device)
