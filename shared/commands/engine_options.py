"""Options of commands that run tasks on an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shared.commands.completion import words

if TYPE_CHECKING:
    from shared.engine.tasks import Engine

EngineOption = Annotated[
    str | None,
    typer.Option(
        help="Where tasks run: local, or ray on many machines (assay docs engines).",
        show_default="local",
        autocompletion=words("local", "ray"),
    ),
]
AddressOption = Annotated[
    str | None, typer.Option(help="HOST:PORT of the Ray cluster.", show_default="RAY_ADDRESS, or this machine's")
]
JobsOption = Annotated[int | None, typer.Option(help="Tasks at a time.", show_default="one a core")]


def engine_asked(engine: str | None, address: str | None, jobs: int | None) -> Engine | None:
    """The engine chosen by the options; None if none was given.

    Raises:
        UsageError: no such engine, or options that do not fit it.
    """
    from shared.engine import make_engine

    if engine is None and address is None and jobs is None:
        return None
    return make_engine(engine or "local", jobs=jobs, address=address)
