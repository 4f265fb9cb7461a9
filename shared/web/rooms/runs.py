"""Runs: trainings with their curves and previews; start, stop and resume."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared.errors import AssayError, RunError, UsageError
from shared.types import check_name
from shared.web.answers import form, number_of, plain, text_of
from shared.web.found import Work, key_of
from shared.web.jobs.record import JobRecord, records
from shared.web.rooms.room import Room
from shared.web.rooms.run_files import (
    curves,
    is_active,
    last_change,
    last_line,
    preview,
    previews,
    run_facts,
    run_settings,
)

_RECIPES = ("assay-cpu", "assay-quality", "none")
_DETECTORS = ("tf_efficientnet_lite0", "mesoinception4", "meso4", "frequency")
_MOST_FACESETS = 64


class RunRoom(Room):
    """The room of trainings."""

    def routes(self) -> list[Route]:
        """Its addresses."""
        run = "/runs/{key:str}"
        return [
            Route("/runs", self.list_page),
            Route("/runs/list.json", self.list),
            Route("/runs/start", self.start, methods=["POST"]),
            Route(run, self.page),
            Route(f"{run}/state.json", self.state),
            Route(f"{run}/curves.json", self.curves),
            Route(f"{run}/previews/{{name:str}}", self.preview),
            Route(f"{run}/stop", self.stop, methods=["POST"]),
            Route(f"{run}/resume", self.resume, methods=["POST"]),
        ]

    def list_page(self, request: Request) -> HTMLResponse:
        """The list of runs, with the form for a new one."""
        return self.pages.page(
            "runs.html.j2", room="runs", facesets=self.works.all("faceset"), sets=self.works.all("set"),
            recipes=_RECIPES, detectors=_DETECTORS,
        )  # fmt: skip

    def list(self, request: Request) -> Response:
        """All runs, those written to last first, and trainings that have no folder yet."""
        works, jobs = self.works.all("run"), self._jobs()
        rows = sorted((self._row(work, jobs) for work in works), key=lambda row: -row["changed"])
        names = {work.name for work in works}
        early = [one.shown() for name, one in jobs.items() if name not in names and one.state().state != "done"]
        return plain({"runs": rows, "jobs": early})

    def _jobs(self) -> dict[str, JobRecord]:
        """The newest training job of each run, by the run's path in the folder."""
        found: dict[str, JobRecord] = {}
        for one in records(self.folder.jobs):
            with suppress(AssayError):
                job, _ = one.job(), one.state()
                if job.kind == "train" and "run" in job.about:
                    found[job.about["run"]] = one
        return found

    def _row(self, work: Work, jobs: dict[str, JobRecord]) -> dict[str, Any]:
        row: dict[str, Any] = {"key": work.key, "name": work.name, "changed": last_change(work.path), "fault": ""}
        try:
            facts = run_facts(work.path)
        except AssayError as error:
            return row | {"fault": str(error), "kind": "", "state": "damaged"}
        settings, line = run_settings(work.path), last_line(work.path)
        job = jobs.get(work.name)
        state = job.state() if job is not None else None
        live = state is not None and state.state in ("running", "waiting")
        return row | {
            "kind": str(facts.get("kind", "")),
            "model": str(settings.get("model", "")),
            "step": int(line.get("step", 0)),
            "steps": settings.get("steps") if isinstance(settings.get("steps"), int) else None,
            "minutes": settings.get("minutes") if isinstance(settings.get("minutes"), int | float) else None,
            "seconds": float(line.get("seconds", 0)),
            "loss": line.get("loss"),
            "state": state.state if live and state else "active elsewhere" if is_active(work.path) else "stopped",
            "why": state.why if state is not None else "",
            "job": job.key if job is not None else None,
            "previews": previews(work.path),
        }

    def page(self, request: Request) -> HTMLResponse:
        """One run: curves, preview, settings."""
        work = self.works.get("run", request.path_params["key"])
        facts, settings = run_facts(work.path), run_settings(work.path)
        return self.pages.page(
            "run.html.j2", room="runs", work=work, facts=facts, settings=_flat(settings),
            versions=_flat(facts.get("versions", {})), inputs=_flat(facts.get("inputs", {})),
        )  # fmt: skip

    def state(self, request: Request) -> Response:
        """Step, state and previews of one run, and what its job told last."""
        work, jobs = self.works.get("run", request.path_params["key"]), self._jobs()
        job = jobs.get(work.name)
        return plain(self._row(work, jobs) | {"progress": job.progress() if job is not None else {}})

    def curves(self, request: Request) -> Response:
        """All metrics as curves."""
        return plain(curves(self.works.get("run", request.path_params["key"]).path))

    def preview(self, request: Request) -> Response:
        """A preview picture."""
        work, name = self.works.get("run", request.path_params["key"]), request.path_params["name"]
        kind = "image/png" if name.endswith(".png") else "image/jpeg"
        return Response(preview(work.path, name), media_type=kind)

    def stop(self, request: Request) -> Response:
        """Has the training save its work and end, if it was started here."""
        work = self.works.get("run", request.path_params["key"])
        job = self._jobs().get(work.name)
        if job is None or job.state().state not in ("running", "waiting"):
            raise RunError(f"{work.name} was not started from this page", hint="press Ctrl-C where it was started")
        self.queue.stop(job.key)
        return plain({"job": job.key})

    def resume(self, request: Request) -> Response:
        """Goes on with a run: with the command that started it here, or with its own settings."""
        work = self.works.get("run", request.path_params["key"])
        job = self._jobs().get(work.name)
        if job is not None and job.state().state in ("running", "waiting"):
            raise RunError(f"{work.name} is running", hint="look at its curves")
        words = job.job().words if job is not None else self._words_of(work)
        return plain({"job": self.queue.add(self.training(work.name, words, run=work.name)).key})

    def _words_of(self, work: Work) -> tuple[str, ...]:
        """The command line that continues a run which was started elsewhere: its facesets are found by their hash."""
        facts, path = run_facts(work.path), str(work.path)
        if facts.get("kind") != "swapper":
            raise RunError(
                f"{work.name} was not started from this page, so its data are not known here",
                hint="resume it with the command that started it",
            )
        by_digest = {_digest(each.path): each.path for each in self.works.all("faceset")}
        inputs = {name: digest for name, digest in facts.get("inputs", {}).items() if name != "start"}
        missing = [name for name, digest in inputs.items() if digest not in by_digest]
        if missing or not inputs:
            raise RunError(
                f"the facesets of {', '.join(missing) or 'this run'} are not in this folder",
                hint="resume it with the command that started it",
            )
        facesets = [str(by_digest[digest]) for digest in inputs.values()]
        return ("forge", "train", *facesets, "--run", path, "--config", str(work.path / "config.toml"))

    async def start(self, request: Request) -> Response:
        """Starts a training of a swapper on facesets, or of a detector on a set."""
        values = await form(request)
        return plain(await anyio.to_thread.run_sync(self._start, values))

    def _start(self, values: dict[str, Any]) -> dict[str, str]:
        name = text_of(values, "name", 80)
        try:
            check_name(name, "run")
        except ValueError as error:
            raise UsageError(str(error), hint="for example ann-bob-2") from error
        run = self.folder.runs / name
        if run.exists() or run.relative_to(self.folder.root).as_posix() in self._jobs():
            raise UsageError(f"runs/{name} is there already", hint="choose another name, or resume that run")
        steps = int(number_of(values, "steps", 1, 10_000_000))
        words = self._swapper_words(values) if values.get("kind") == "swapper" else self._detector_words(values)
        words = (*words, "--run", str(run), "--steps", str(steps))
        place = run.relative_to(self.folder.root).as_posix()
        return {"job": self.queue.add(self.training(place, words, run=place)).key, "run": key_of(place)}

    def _swapper_words(self, values: dict[str, Any]) -> tuple[str, ...]:
        keys, recipe = values.get("facesets"), values.get("recipe", "none")
        if not isinstance(keys, list) or not 2 <= len(keys) <= _MOST_FACESETS or recipe not in _RECIPES:
            raise UsageError(f"a swapper is trained on 2 to {_MOST_FACESETS} facesets", hint="choose them in the list")
        places = [str(self.works.get("faceset", str(key)).path) for key in keys]
        return ("forge", "train", *places, *(() if recipe == "none" else ("--recipe", recipe)))

    def _detector_words(self, values: dict[str, Any]) -> tuple[str, ...]:
        model = values.get("model")
        if values.get("kind") != "detector" or model not in _DETECTORS:
            raise UsageError("this kind of training is not known", hint="reload the page")
        return ("detect", "train", str(self.works.get("set", str(values.get("set"))).path), "--model", str(model))


def _digest(faceset: Path) -> str:
    """The hash by which a run names a faceset: of its settings and its table."""
    whole = hashlib.sha256()
    for name in ("faceset.toml", "faces.parquet"):
        with suppress(OSError):
            whole.update(hashlib.sha256((faceset / name).read_bytes()).digest())
    return whole.hexdigest()


def _flat(values: object, prefix: str = "") -> list[tuple[str, str]]:
    """Names and values of a mapping, nested ones with both names."""
    if not isinstance(values, dict):
        return []
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        found += (
            _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", str(value)[:500])]
        )
    return found
