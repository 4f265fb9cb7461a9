"""Sets: labelled clips with filters; real, fake and masks side by side by frame."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared.dataset.frame_table import labels_of
from shared.dataset.layout import FRAMES, MANIFEST, MASK_NAMES, read_info
from shared.dataset.manifest import read_manifest
from shared.dataset.masks import Originals
from shared.errors import AssayError, ManifestError
from shared.storage import inside
from shared.types import ClipRecord
from shared.web.answers import MissingError, plain
from shared.web.found import Work, key_of
from shared.web.frames.clip import facts_of_clip
from shared.web.rooms.room import Room, frame_answer, index_of
from shared.web.tables import decoded_apart, send_labels

_MOST_CLIPS = 50_000


class SetRoom(Room):
    """The room of labelled sets."""

    def routes(self) -> list[Route]:
        """Its addresses."""
        one = "/sets/{key:str}"
        return [
            Route("/sets", self.list_page),
            Route(one, self.page),
            Route(f"{one}/clips.json", self.clips),
            Route(f"{one}/{{clip:str}}", self.clip_page),
            Route(f"{one}/{{clip:str}}/facts.json", self.facts),
            Route(f"{one}/{{clip:str}}/{{pane:str}}/{{index:int}}.jpg", self.frame),
        ]

    def list_page(self, request: Request) -> HTMLResponse:
        """All sets of the folder."""
        return self.pages.page("sets.html.j2", room="sets", rows=[_brief(work) for work in self.works.all("set")])

    def page(self, request: Request) -> HTMLResponse:
        """One set: its clips with filters."""
        work = self.works.get("set", request.path_params["key"])
        return self.pages.page("set.html.j2", room="sets", work=work, info=read_info(work.path))

    def clips(self, request: Request) -> Response:
        """All clips of a set."""
        work = self.works.get("set", request.path_params["key"])
        return plain({"clips": [_row(record) for record in list(set_records(work.path).values())[:_MOST_CLIPS]]})

    def _record(self, request: Request) -> tuple[Work, ClipRecord]:
        work = self.works.get("set", request.path_params["key"])
        record = set_records(work.path).get(request.path_params["clip"])
        if record is None:
            raise MissingError("there is no such clip in this set", hint="go back to the list of its clips")
        return work, record

    def clip_page(self, request: Request) -> HTMLResponse:
        """One clip, beside its original and its masks."""
        work, record = self._record(request)
        return self.pages.page("set_clip.html.j2", room="sets", work=work, record=record, clip=key_of(str(record.id)))

    def facts(self, request: Request) -> Response:
        """The panes of a clip, and the labels of its frames."""
        work, record = self._record(request)
        panes = self._panes(work, record)
        clip = self.shelf.clip(panes[0][1])
        boxes: dict[int, list[list[float]]] = {}
        forged: list[int] = []
        try:
            for label in labels_of([_frame_rows(work.path / FRAMES, record)], record.id):
                if label.label == "fake":
                    forged.append(label.frame)
                if label.box is not None:
                    boxes.setdefault(label.frame, []).append([round(float(value), 1) for value in label.box])
        except AssayError:
            boxes = {}
        return plain(
            {
                "panes": [{"name": name, "shift": shift} for name, _, shift, _ in panes],
                "frames": record.frames,
                "faked": record.faked or _ranges(sorted(set(forged))),
                "boxes": boxes,
                "clip": facts_of_clip(clip),
            }
        )

    def _panes(self, work: Work, record: ClipRecord) -> list[tuple[str, Path, int, bool]]:
        """Name, file, frame that is the clip's frame 0, and whether it is a mask; the clip itself first."""
        panes = [("real" if record.label == "real" else "fake", _file(work, record.path), 0, False)]
        if record.label == "fake":
            found = Originals(set_records(work.path).values()).matched(record)
            if found is not None and _is_there(work, found[0].path):
                panes.append(("original", _file(work, found[0].path), found[1], False))
        if record.masks is not None:
            for name in MASK_NAMES:
                path = getattr(record.masks, name)
                if _is_there(work, path):
                    panes.append((name, _file(work, path), 0, True))
        return panes

    def frame(self, request: Request) -> Response:
        """One frame of a pane."""
        work, record = self._record(request)
        name = request.path_params["pane"]
        pane = next((one for one in self._panes(work, record) if one[0] == name), None)
        if pane is None:
            raise MissingError(f"this clip has no {name[:40]}", hint="reload the page")
        return frame_answer(request, self.shelf.clip(pane[1], gray=pane[3]), index_of(request))


def set_records(folder: Path) -> dict[str, ClipRecord]:
    """The clips of a set by the key of their ID; kept until the manifest changes.

    Raises:
        ManifestError: the manifest is damaged.
    """
    try:
        facts = (folder / MANIFEST).stat()
    except OSError as error:
        raise ManifestError(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error
    return _read_records(folder, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=8)
def _read_records(folder: Path, _modified: int, _size: int) -> dict[str, ClipRecord]:
    found = read_manifest(folder / MANIFEST, partial_tail_ok=True)
    return {key_of(str(record.id)): record for record in found}


def _frame_rows(path: Path, record: ClipRecord) -> pa.Table:
    return decoded_apart(path, send_labels, str(record.id), error=ManifestError)


def _file(work: Work, relative: str) -> Path:
    return inside(work.path, relative)


def _is_there(work: Work, relative: str) -> bool:
    try:
        return _file(work, relative).is_file()
    except AssayError:
        return False


def _brief(work: Work) -> dict[str, Any]:
    row: dict[str, Any] = {"key": work.key, "place": work.name, "fault": "", "name": work.path.name}
    try:
        info, records = read_info(work.path), set_records(work.path).values()
    except AssayError as error:
        return row | {"fault": str(error)}
    return row | {
        "name": info.name,
        "description": info.description,
        "real": sum(1 for record in records if record.label == "real"),
        "fake": sum(1 for record in records if record.label == "fake"),
        "people": len({record.target_identity for record in records}),
        "manipulations": sorted({record.id.manipulation for record in records if record.id.manipulation}),
    }


def _row(record: ClipRecord) -> dict[str, Any]:
    return {
        "key": key_of(str(record.id)),
        "name": record.id.name,
        "label": record.label,
        "kind": record.kind,
        "manipulation": record.id.manipulation or "",
        "split": record.split or "",
        "target": record.target_identity,
        "source": record.source_identity or "",
        "rendition": record.rendition,
        "frames": record.frames,
        "width": record.width,
        "height": record.height,
        "masks": record.masks is not None,
    }


def _ranges(frames: list[int]) -> list[tuple[int, int]]:
    """Half-open ranges of ascending numbers."""
    found: list[tuple[int, int]] = []
    for frame in frames:
        if found and found[-1][1] == frame:
            found[-1] = (found[-1][0], frame + 1)
        else:
            found.append((frame, frame + 1))
    return found
