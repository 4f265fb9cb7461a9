"""``assay serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.console import console


def serve(
    folder: Annotated[
        Path, typer.Argument(help="Folder with your cases, runs, sets and facesets; receives new ones.")
    ] = Path(),
    port: Annotated[int, typer.Option(help="Port on this machine; 0: a free one.", min=0, max=65535)] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the default browser.")
    ] = True,
    max_upload_gb: Annotated[float, typer.Option(help="Largest file that can be handed in.")] = 4.0,
    job_memory_gb: Annotated[float, typer.Option(help="Memory of one job.")] = 8.0,
    at_once: Annotated[int, typer.Option(help="Inspections that run at a time.", min=1, max=16)] = 1,
) -> None:
    """Serves a local page to work in: cases with a frame-exact player, trainings, sets, faces. Ctrl-C ends it.

    The page answers this machine alone, and only with the token in the address that is printed. Its jobs are stopped
    with it; trainings go on with the same command or from the page.

    Example: assay serve work/
    """
    from shared.web.app import serve as serve_page
    from shared.web.config import ServeConfig

    config = ServeConfig(port=port, max_upload_gb=max_upload_gb, job_memory_gb=job_memory_gb, at_once=at_once)

    def announce(address: str, opening: str) -> None:
        console.print(f"the page of {folder}: open this address, which holds its token. Ctrl-C ends it.")
        console.print(address, wrap=False)
        console.result({"address": address, "folder": str(folder)})
        if browser:
            _open(opening)  # what a process is started with is seen by others

    serve_page(folder, config, announce)


def _open(address: str) -> None:
    import threading
    import webbrowser

    timer = threading.Timer(0.7, webbrowser.open, [address])
    timer.daemon = True
    timer.start()
