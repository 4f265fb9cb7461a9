"""The command ``assay``, composed of the commands of ``forge``, ``detect`` and ``shared``.

This is the only module of ``shared`` that imports ``forge`` and ``detect``. Large libraries are imported inside the
commands, so that ``assay --help`` is fast.
"""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Annotated, Any

import typer

import shared
from shared.console import console
from shared.errors import AssayError

_INTERRUPTED = 130

_HELP = """Makes labelled synthetic face forgeries, and inspects suspect video with detectors trained on them.

Start with [bold]assay demo[/]: the whole loop in minutes, on procedural actors, without a download.
"""


def build_app() -> typer.Typer:
    """The tree of all commands."""
    import detect.cli
    import forge.cli
    from shared.commands import dataset, demo, docs, doctor, faces, mark, serve, verify, voices, weights

    app = typer.Typer(
        name="assay",
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    app.command("demo")(demo.demo_command(run))
    app.add_typer(faces.app, name="faces")
    app.add_typer(voices.app, name="voices")
    app.add_typer(forge.cli.app, name="forge")
    app.add_typer(dataset.app, name="dataset")
    app.add_typer(detect.cli.app, name="detect")
    app.command("inspect")(detect.cli.inspect)
    app.add_typer(detect.cli.case_app, name="case")
    app.command("serve")(serve.serve)
    app.command("score")(detect.cli.score_command(run))
    app.command("verify")(verify.verify)
    app.add_typer(mark.app, name="mark")
    app.add_typer(weights.app, name="weights")
    app.command("doctor")(doctor.doctor_command(forge.cli.step_milliseconds, forge.cli.speech_engines))
    app.command("docs")(docs.docs)
    return app


@cache
def command_tree() -> Any:
    """All commands as the parser takes them, built once in a process: a seventh of a second."""
    command = typer.main.get_command(build_app())
    _unwrap_help(command)
    return command


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"assay {shared.__version__}\n")
        raise typer.Exit


def _options(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.")] = False,
    json_mode: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    console.configure(quiet=quiet, json_mode=json_mode)


def run(arguments: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code: 0 success, 1 failure, 2 wrong usage, 130 interrupted.

    ``--quiet`` and ``--json`` apply to this command line only.
    """
    quiet, json_mode = console.quiet, console.json_mode
    try:
        with _noted_interrupts() as interrupts:
            return _run(arguments, interrupts)
    finally:
        console.configure(quiet=quiet, json_mode=json_mode)


@contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """A list that gets each Ctrl-C and termination signal; either raises KeyboardInterrupt, so that work is saved.

    C code may replace that exception by one of its own, or drop it.
    """
    interrupts: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    before = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = threading.current_thread() is threading.main_thread()
    mine = [number for number, handler in before.items() if ours and signal.getsignal(number) is handler]
    try:
        for number in mine:
            signal.signal(number, note)
        yield interrupts
    finally:
        for number in mine:
            signal.signal(number, before[number])


def _run(arguments: list[str] | None, interrupts: Sequence[int]) -> int:
    try:
        outcome = command_tree().main(args=arguments, prog_name="assay", standalone_mode=False)
    except AssayError as error:
        if interrupts:
            return _interrupted()
        console.fail(str(error), error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        return 1
    except Exception as error:
        if interrupts:
            return _interrupted()
        code = _usage_exit(error)
        if code is None:
            raise
        return code
    # The parser turns an interrupt inside a command into this code, without a message.
    if outcome == _INTERRUPTED:
        return _interrupted()
    return outcome if isinstance(outcome, int) else 0


def _unwrap_help(command: Any) -> None:
    """Joins the lines of each paragraph of the help texts, so that the terminal's width alone breaks them."""
    if command.help:
        paragraphs = re.split(r"\n\s*\n", command.help.strip())
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for inner in getattr(command, "commands", {}).values():
        _unwrap_help(inner)


def _interrupted() -> int:
    console.fail("interrupted", "what was finished is kept; run the same command again to go on")
    return _INTERRUPTED


def _usage_exit(error: Exception) -> int | None:
    """The exit code of an error of the command-line parser, which shows it; None for other errors."""
    show = getattr(error, "show", None)
    if callable(show) and hasattr(error, "exit_code"):
        show()
        return int(error.exit_code)  # type: ignore[attr-defined]
    return _interrupted() if type(error).__name__ == "Abort" else None


def main() -> None:
    """Entry point of the ``assay`` command."""
    sys.exit(run())
