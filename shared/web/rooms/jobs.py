"""Jobs of all rooms: what runs, what waits, what ended and how; stop, run again, remove."""

from __future__ import annotations

import dataclasses
import shutil
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared.errors import AssayError, RunError
from shared.web.answers import plain
from shared.web.jobs.record import Job, record, records
from shared.web.rooms.room import Room
from shared.web.uploads import remove_upload

_MOST = 300


class JobRoom(Room):
    """The list of jobs, and what can be done with each."""

    def routes(self) -> list[Route]:
        """Its addresses."""
        return [
            Route("/jobs", self.page),
            Route("/jobs/list.json", self.list),
            Route("/jobs/{key:str}/output.json", self.output),
            Route("/jobs/{key:str}/stop", self.stop, methods=["POST"]),
            Route("/jobs/{key:str}/again", self.again, methods=["POST"]),
            Route("/jobs/{key:str}/remove", self.remove, methods=["POST"]),
        ]

    def page(self, request: Request) -> HTMLResponse:
        """The list of jobs."""
        return self.pages.page("jobs.html.j2", room="jobs")

    def list(self, request: Request) -> Response:
        """All jobs, the newest first."""
        return plain({"jobs": self._shown()[::-1][:_MOST]})

    def _shown(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for one in records(self.folder.jobs):
            with suppress(AssayError):  # a record that is damaged, or somebody else's, is not shown
                found.append(one.shown())
        return found

    def output(self, request: Request) -> Response:
        """The end of what a job printed, and its command line."""
        one = record(self.folder.jobs, request.path_params["key"])
        return plain({**one.shown(), "output": one.output(), "words": ["assay", *one.job().words]})

    def stop(self, request: Request) -> Response:
        """Stops a job, or takes it out of the queue."""
        key = record(self.folder.jobs, request.path_params["key"]).key
        self.queue.stop(key)
        return plain({"key": key})

    def again(self, request: Request) -> Response:
        """Puts a job that ended into the queue once more; an unfinished training goes on where it was.

        An inspection whose case is there is refused: a new case would take the place of its notes.
        """
        one = record(self.folder.jobs, request.path_params["key"])
        _need_ended(one.state().state)
        return plain({"key": self.queue.add(self._once_more(one.job())).key})

    def _once_more(self, job: Job) -> Job:
        if job.kind != "inspect":
            return job
        file = job.about.get("file", "")
        if not file.isalnum() or (self.folder.cases / file).exists():
            raise RunError("the case of this file is there already", hint="hand in the file again for a second case")
        return dataclasses.replace(job, words=tuple(word for word in job.words if word != "--force"))

    def remove(self, request: Request) -> Response:
        """Removes the record of a job that ended, and the file of an inspection that gave no case."""
        one = record(self.folder.jobs, request.path_params["key"])
        _need_ended(one.state().state)
        file = one.job().about.get("file", "")
        shutil.rmtree(one.folder, ignore_errors=True)
        if file.isalnum() and not (self.folder.cases / file).exists():
            others = [each["about"].get("file") for each in self._shown()]
            if file not in others:
                remove_upload(self.folder.files, file)
        return plain({"key": one.key})


def _need_ended(state: str) -> None:
    if state in ("waiting", "running"):
        raise RunError("this job has not ended", hint="stop it first")
