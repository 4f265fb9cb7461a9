"""The page as an ASGI application, and its server on the loopback address."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

import shared
from shared.errors import AssayError, RunError, StorageError, UsageError, storage_errors
from shared.pages import STYLE
from shared.storage import folder_lock
from shared.web.answers import HERE, MissingError, Pages, error_handler
from shared.web.config import ServeConfig, WorkFolder
from shared.web.found import WorkIndex
from shared.web.frames.shelf import ClipShelf
from shared.web.guard import Access, Guard, RefusalLog
from shared.web.jobs.queue import JobQueue
from shared.web.rooms.cases import CaseRoom
from shared.web.rooms.faces import FaceRoom
from shared.web.rooms.jobs import JobRoom
from shared.web.rooms.landmarks import LandmarkRoom
from shared.web.rooms.runs import RunRoom
from shared.web.rooms.set_results import ResultRoom
from shared.web.rooms.sets import SetRoom

_ROOMS = (CaseRoom, RunRoom, ResultRoom, SetRoom, FaceRoom, LandmarkRoom, JobRoom)
_HOST = "127.0.0.1"


@dataclass
class Page:
    """The page of one work folder.

    Attributes:
        app: with the guard around it.
        access: its secrets.
        queue: of its jobs.
        shelf: its open clips.
    """

    app: ASGIApp
    access: Access
    queue: JobQueue
    shelf: ClipShelf


def make_page(root: Path, config: ServeConfig, *, port: int) -> Page:
    """The page of the folder ``root``, for a server on ``port`` of the loopback address.

    Raises:
        UsageError: there is no such folder, or a place of the page's own in it is a link.
        StorageError: the folder cannot be written.
    """
    if not root.is_dir():
        raise UsageError(f"{root} is no folder", hint="name the folder that holds your cases, runs, sets and faces")
    folder, access = WorkFolder(root.resolve()), Access()
    for place in folder.places:
        if place.is_symlink():
            raise UsageError(
                f"{place} is a link, and the page writes through none", hint="put a folder there, or serve another one"
            )
    for place in (folder.files, folder.cases, folder.jobs, folder.indices):
        with storage_errors(place):
            place.mkdir(parents=True, exist_ok=True)
    log = RefusalLog(folder.log)
    queue, shelf = JobQueue(folder.jobs, config.at_once), ClipShelf(folder.indices)
    pages = Pages({"version": shared.__version__, "root_name": folder.root.name})
    parts = (folder, config, WorkIndex(folder.root), shelf, queue, pages)
    rooms = [route for room in _ROOMS for route in room(*parts).routes()]

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        queue.start()
        try:
            yield
        finally:
            queue.close()
            shelf.close()

    starlette = Starlette(
        routes=[
            Route("/", lambda request: RedirectResponse("/cases", 303)),
            Route("/static/pages.css", lambda request: FileResponse(STYLE, media_type="text/css")),
            Mount("/static", StaticFiles(directory=HERE / "static")),
            *rooms,
            Route("/{rest:path}", _missing),
        ],
        exception_handlers={AssayError: error_handler(pages, log), ClientDisconnect: _ended},
        lifespan=lifespan,
    )
    guard = Guard(starlette, access=access, port=port, log=log, max_upload_bytes=config.max_upload_bytes)
    return Page(guard, access, queue, shelf)


def _ended(request: Request, error: Exception) -> Response:
    """The browser went away in the middle of a request; what it sent is removed, and nobody reads the answer."""
    return Response(status_code=400)


def _missing(request: Request) -> Response:
    raise MissingError("there is no such page", hint="go to the list of cases")


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Holds the folder ``root`` for one server: two would run its jobs twice.

    Raises:
        RunError: another server has it.
        StorageError: the folder cannot be written.
    """
    lock = WorkFolder(root.resolve()).lock
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(folder_lock(lock, timeout_seconds=0))
        except StorageError as error:
            if not isinstance(error.__cause__, TimeoutError):
                raise
            raise RunError(
                f"{root} is served already by another assay serve", hint="use its page, or end it with Ctrl-C first"
            ) from error
        yield


def serve(root: Path, config: ServeConfig, announce: Callable[[str, str], None]) -> None:
    """Serves the page of ``root`` on the loopback address until Ctrl-C.

    ``announce`` is given its address, and one that is good for one use, for a browser that is started with it.

    Raises:
        RunError: another server has the folder.
        UsageError: the port is taken, or there is no such folder.
        StorageError: the folder cannot be written.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_HOST, config.port))
        except OSError as error:
            raise UsageError(
                f"port {config.port} cannot be used: {error.strerror}", hint="choose another; --port 0 takes a free one"
            ) from error
        port = listening.getsockname()[1]
        page = make_page(root, config, port=port)
        options = {"access_log": False, "server_header": False, "proxy_headers": False, "limit_concurrency": 128}
        server = uvicorn.Server(
            uvicorn.Config(
                page.app, host=_HOST, port=port, log_config=None, timeout_graceful_shutdown=5, ws="none", **options
            )
        )
        base = f"http://{_HOST}:{port}/?token="
        with alone(root):
            announce(base + page.access.token, base + page.access.opening())
            with contextlib.suppress(KeyboardInterrupt):  # the usual end; jobs have been stopped by then
                server.run(sockets=[listening])
