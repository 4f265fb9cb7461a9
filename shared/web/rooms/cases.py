"""Cases: files handed in, their inspection, the report, and the player."""

from __future__ import annotations

import hashlib
import math
from typing import Any
from urllib.parse import unquote

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared.errors import AssayError, CaseError, UsageError
from shared.storage import inside, read_bytes, read_json
from shared.web.answers import MissingError, form, plain, text_of
from shared.web.found import Work
from shared.web.frames.clip import OpenClip, facts_of_clip
from shared.web.jobs.command import run_command
from shared.web.jobs.record import JobRecord, records
from shared.web.rooms.case_files import (
    MAX_PICTURE_BYTES,
    MAX_REPORT_BYTES,
    PICTURE,
    LogBrief,
    crop_outline,
    file_of,
    heat_pictures,
    picture_of,
    read_faces,
    read_regions,
    read_report,
    read_steps,
    region_picture,
    threshold_of,
)
from shared.web.rooms.room import REPORT_POLICY, Room, frame_answer, index_of, picture_answer
from shared.web.uploads import FACTS, remove_upload, store_upload

_MAX_NOTE = 4000
_MOST_JOBS = 200


class CaseRoom(Room):
    """The room of cases."""

    def routes(self) -> list[Route]:
        """Its addresses."""
        case = "/cases/{key:str}"
        return [
            Route("/cases", self.list_page),
            Route("/cases/list.json", self.list),
            Route("/cases/files", self.upload, methods=["POST"]),
            Route("/cases/compare/{first:str}/{second:str}", self.compare_page),
            Route("/cases/compare/{first:str}/{second:str}/differences.json", self.differences),
            Route(case, self.page),
            Route(f"{case}/clip.json", self.clip),
            Route(f"{case}/state.json", self.state),
            Route(f"{case}/frames/{{index:int}}.jpg", self.frame),
            Route(f"{case}/frames/{{index:int}}.png", self.exact_frame),
            Route(f"{case}/faces/{{index:int}}.json", self.faces),
            Route(f"{case}/regions/{{index:int}}/{{track:int}}.png", self.region),
            Route(f"{case}/report", self.report),
            Route(f"{case}/evidence/{{name:str}}", self.evidence),
            Route(f"{case}/log.json", self.log),
            Route(f"{case}/notes", self.add_note, methods=["POST"]),
            Route(f"{case}/verify", self.verify, methods=["POST"]),
        ]

    def list_page(self, request: Request) -> HTMLResponse:
        """The list, with the place to drop files and the queue."""
        return self.pages.page("cases.html.j2", room="cases", most_gb=self.config.max_upload_gb)

    def list(self, request: Request) -> Response:
        """All cases, and the jobs of this room; those that are done are in the cases."""
        cases = [self._row(work) for work in self.works.all("case")]
        jobs = [self._job_row(one) for one in records(self.folder.jobs)[-_MOST_JOBS:]]
        order = {"running": 0, "waiting": 1}
        waiting = sorted((job for job in jobs if job is not None), key=lambda job: order.get(job["state"], 2))
        return plain({"cases": sorted(cases, key=lambda row: -row["made"]), "jobs": waiting})

    def _job_row(self, one: JobRecord) -> dict[str, Any] | None:
        try:
            shown = one.shown()
        except AssayError:
            return None
        return shown if shown["kind"] == "inspect" and shown["state"] != "done" else None

    def _row(self, work: Work) -> dict[str, Any]:
        row: dict[str, Any] = {"key": work.key, "place": work.name, "made": 0.0, "fault": ""}
        try:
            row["made"] = (work.path / "custody.json").stat().st_mtime
            report = read_report(work.path)
        except (AssayError, OSError) as error:
            return row | {"name": work.path.name, "verdict": "", "fault": str(error)}
        score = report.score
        return row | {
            "name": self._shown_name(work, report.path_name),
            "verdict": report.verdict,
            "sound": report.sound.verdict if report.sound else "",
            "logit": score.logit if score else None,
            "llr": score.llr if score else None,
            "tracks": score.tracks if score else 0,
            "differs": sum(1 for each in report.evidence if each.odd),
            "size": report.size_bytes,
            "sha256": report.sha256_intake,
            "picture": picture_of(work.path),
        }

    def _shown_name(self, work: Work, stated: str) -> str:
        """The name under which a file was handed in, else the one in the report."""
        if work.path.parent == self.folder.cases:
            try:
                facts = read_json(self.folder.files / work.path.name / FACTS, dict, 1 << 16, error=CaseError)
                return str(facts.get("name", stated))
            except AssayError:
                return stated
        return stated

    async def upload(self, request: Request) -> Response:
        """Takes a file as the body of the request, its name in ``X-File-Name``; puts its inspection into the queue."""
        name = unquote(request.headers.get("x-file-name", ""))
        declared = int(request.headers["content-length"])
        key = await store_upload(self.folder.files, name, declared, request.stream())
        try:
            one = await anyio.to_thread.run_sync(self._enqueue, key, name)
        except BaseException:
            remove_upload(self.folder.files, key)
            raise
        return plain({"file": key, "job": one})

    def _enqueue(self, key: str, name: str) -> str:
        facts = read_json(self.folder.files / key / FACTS, dict, 1 << 16, error=CaseError)
        file = self.folder.files / key / str(facts["file"])
        words = ("inspect", str(file), "--out", str(self.folder.cases / key))
        return self.queue.add(self.short_job("inspect", str(facts["name"]), words, file=key)).key

    def page(self, request: Request) -> HTMLResponse:
        """One case: player, verdict, findings, notes, report."""
        work = self.works.get("case", request.path_params["key"])
        report = read_report(work.path)
        return self.pages.page(
            "case.html.j2", room="cases", work=work, report=report, name=self._shown_name(work, report.path_name)
        )

    def _open(self, request: Request) -> tuple[Work, OpenClip]:
        work = self.works.get("case", request.path_params["key"])
        path = file_of(self.folder, work)
        if path is None:
            raise MissingError(
                "the inspected file is not where it was, or was changed",
                hint="put the file back; its hash has to be the one in the report",
            )
        return work, self.shelf.clip(path)

    def clip(self, request: Request) -> Response:
        """Facts of the file, and its scored faces by track."""
        work = self.works.get("case", request.path_params["key"])
        report, faces, steps = read_report(work.path), read_faces(work.path), read_steps(work.path)
        tracks: dict[int, dict[str, Any]] = {}
        for row in range(len(faces.frames)):
            track = tracks.setdefault(int(faces.tracks[row]), {"frames": [], "seconds": [], "logits": [], "boxes": []})
            track["frames"].append(int(faces.frames[row]))
            track["seconds"].append(round(float(faces.seconds[row]), 4))
            track["logits"].append(round(float(faces.logits[row]), 4))
            track["boxes"].append([round(float(value), 1) for value in faces.boxes[row]])
        document = {
            "tracks": [{"track": number, **track} for number, track in sorted(tracks.items())],
            "threshold": threshold_of(steps),
            "frames_read": report.score.frames_read if report.score else 0,
            "heat": [{"frame": frame, "track": track} for frame, track in sorted(heat_pictures(work.path))],
        }
        regions, fault = _regions(work)
        document |= {"regions": len(regions), "regions_fault": fault}
        try:
            document["clip"] = facts_of_clip(self._open(request)[1])
        except AssayError as error:
            document |= {"clip": None, "why": f"{error}. {error.hint or ''}".strip()}
        return plain(document)

    def state(self, request: Request) -> Response:
        """How much of the file is indexed."""
        return plain(facts_of_clip(self._open(request)[1]))

    def frame(self, request: Request) -> Response:
        """One frame as JPEG."""
        return frame_answer(request, self._open(request)[1], index_of(request))

    def exact_frame(self, request: Request) -> Response:
        """One frame as PNG, without loss."""
        return frame_answer(request, self._open(request)[1], index_of(request), exact=True)

    def faces(self, request: Request) -> Response:
        """The scored faces of one frame with their landmarks, crop outlines, regions and heat maps."""
        work, index = self.works.get("case", request.path_params["key"]), index_of(request)
        regions, _ = _regions(work)
        report, faces, heats = read_report(work.path), read_faces(work.path), heat_pictures(work.path)
        found = []
        for row in (faces.frames == index).nonzero()[0]:
            points, track = faces.landmarks[row], int(faces.tracks[row])
            known = not math.isnan(float(points[0, 0]))
            outline = crop_outline(report, points)
            found.append(
                {
                    "track": track,
                    "logit": float(faces.logits[row]),
                    "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in points] if known else [],
                    "crop": {"px": outline[0], "matrix": outline[1]} if outline else None,
                    "heat": heats.get((index, track)),
                    "region": (index, track) in regions,
                }
            )
        return plain({"frame": index, "faces": found})

    def region(self, request: Request) -> Response:
        """The region that the detector drew of one face, to be laid over its crop."""
        work, place = (
            self.works.get("case", request.path_params["key"]),
            (index_of(request), int(request.path_params["track"])),
        )
        found = read_regions(work.path).get(place)
        if found is None:
            raise MissingError("the detector drew no region of this face", hint="go back to the case")
        mark = f"{work.key}-{hashlib.sha256(found).hexdigest()[:24]}"
        return picture_answer(request, mark, lambda: region_picture(found), "image/png")

    def report(self, request: Request) -> Response:
        """The report as it lies in the case, in a sandbox without scripts."""
        work = self.works.get("case", request.path_params["key"])
        data = read_bytes(inside(work.path, "report.html"), MAX_REPORT_BYTES, error=CaseError)
        return HTMLResponse(data, headers={"Content-Security-Policy": REPORT_POLICY})

    def evidence(self, request: Request) -> Response:
        """A picture of the case."""
        work, name = self.works.get("case", request.path_params["key"]), request.path_params["name"]
        path = work.path / "evidence" / name
        if not PICTURE.fullmatch(name) or not path.is_file():
            raise MissingError("there is no such picture", hint="go back to the case")
        path = inside(work.path, f"evidence/{name}")
        return Response(read_bytes(path, MAX_PICTURE_BYTES, error=CaseError), media_type="image/png")

    def log(self, request: Request) -> Response:
        """The steps of the custody log."""
        work = self.works.get("case", request.path_params["key"])
        return plain({"steps": [_step(step) for step in read_steps(work.path)]})

    async def add_note(self, request: Request) -> Response:
        """Adds a note to the custody log."""
        work = self.works.get("case", request.path_params["key"])
        values = await form(request)
        text, by = text_of(values, "text", _MAX_NOTE), text_of(values, "by", 200, needed=False)
        frame = values.get("frame")
        if frame is not None and (isinstance(frame, bool) or not isinstance(frame, int) or not 0 <= frame < 1 << 31):
            raise UsageError("the frame of a note is a whole number", hint="reload the page")
        words = ["case", "note", *(["--frame", str(frame)] if frame is not None else []), f"--by={by}"]
        words += ["--", str(work.path), text]
        await anyio.to_thread.run_sync(run_command, words, self.folder.root)
        return plain({"steps": [_step(step) for step in read_steps(work.path)]})

    def verify(self, request: Request) -> Response:
        """Checks that nothing in the case changed."""
        work = self.works.get("case", request.path_params["key"])
        return plain(run_command(["case", "verify", str(work.path)], self.folder.root, codes=(0, 1)))

    def compare_page(self, request: Request) -> HTMLResponse:
        """Two cases side by side."""
        works = [self.works.get("case", request.path_params[name]) for name in ("first", "second")]
        reports = [read_report(work.path) for work in works]
        names = [self._shown_name(work, report.path_name) for work, report in zip(works, reports, strict=True)]
        return self.pages.page("compare.html.j2", room="cases", works=works, reports=reports, names=names)

    def differences(self, request: Request) -> Response:
        """What the reports of two cases state differently."""
        works = [self.works.get("case", request.path_params[name]) for name in ("first", "second")]
        words = ["case", "compare", *(str(work.path) for work in works)]
        return plain(run_command(words, self.folder.root))


def _regions(work: Work) -> tuple[dict[tuple[int, int], bytes], str]:
    """The regions of a case; none, and why, if their table is damaged."""
    try:
        return read_regions(work.path), ""
    except CaseError as error:
        return {}, str(error)


def _step(step: LogBrief) -> dict[str, Any]:
    return {"number": step.number, "step": step.step, "began": step.began, "ended": step.ended, "details": step.details}
