"""What all rooms have: the work folder and what is found in it, open clips, the queue, the templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from shared.web.answers import Pages
from shared.web.config import ServeConfig, WorkFolder
from shared.web.found import WorkIndex
from shared.web.frames.clip import OpenClip
from shared.web.frames.shelf import ClipShelf
from shared.web.jobs.queue import JobQueue
from shared.web.jobs.record import Job

REPORT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""Content security policy of a report that is shown as it lies in the folder."""


@dataclass(frozen=True)
class Room:
    """One room of the page.

    Attributes:
        folder: that the page shows.
        config: its limits.
        works: what was found in the folder.
        shelf: clips that are open.
        queue: of jobs.
        pages: templates.
    """

    folder: WorkFolder
    config: ServeConfig
    works: WorkIndex
    shelf: ClipShelf
    queue: JobQueue
    pages: Pages

    def short_job(self, kind: str, title: str, words: tuple[str, ...], **about: str) -> Job:
        """A job with the limits of an inspection."""
        return Job(kind, title, words, self._memory_bytes, self.config.inspect_minutes * 60, about)

    def training(self, title: str, words: tuple[str, ...], **about: str) -> Job:
        """A job with the limits of a training."""
        return Job("train", title, words, self._memory_bytes, self.config.train_hours * 3600, about)

    @property
    def _memory_bytes(self) -> int:
        return int(self.config.job_memory_gb * 1e9)


def index_of(request: Request) -> int:
    """The index of a frame in the address."""
    return int(request.path_params["index"])


def frame_answer(request: Request, clip: OpenClip, index: int, *, exact: bool = False) -> Response:
    """A frame of a clip as a picture.

    Raises:
        MediaError: there is no such frame.
    """
    kind = "image/png" if exact or clip.gray else "image/jpeg"
    mark = f"{clip.mark}-{index}-{kind[6:]}"
    return picture_answer(request, mark, lambda: clip.exact(index) if exact else clip.picture(index), kind)


def picture_answer(request: Request, mark: str, read: Callable[[], bytes], kind: str) -> Response:
    """A picture that a browser keeps, but asks for anew: it is sent again only if its ``mark`` became another one.

    The address alone would not do: what lies in a folder can be replaced while its name stays.
    """
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{mark}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(read(), media_type=kind, headers=headers)
