"""``assay detect``, ``assay inspect`` and ``assay case``. The commands are in ``detect/commands``."""

from __future__ import annotations

import typer

from detect.commands.calibrate import calibrate
from detect.commands.case import app as case_app
from detect.commands.compare import compare
from detect.commands.evaluate import evaluate
from detect.commands.export import export
from detect.commands.folds import folds
from detect.commands.fuse import fuse
from detect.commands.import_weights import import_weights
from detect.commands.inspect import inspect
from detect.commands.models import models
from detect.commands.robustness import robustness
from detect.commands.score import score_command
from detect.commands.speech import app as speech_app
from detect.commands.train import train

__all__ = ["app", "case_app", "inspect", "score_command"]

app = typer.Typer(help="Train detectors, evaluate them with an interval on every number.", no_args_is_help=True)
for command in (train, evaluate, calibrate, compare, robustness, folds, fuse, export, models):
    app.command()(command)
app.command("import")(import_weights)
app.add_typer(speech_app, name="speech")
