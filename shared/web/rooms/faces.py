"""Faces: a faceset as a wall of crops, sorted and filtered; faces are set aside and taken back by hand."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np
import pyarrow as pa
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared.errors import AssayError, FacesetError, UsageError
from shared.faces.facesets.layout import crop_name
from shared.faces.facesets.reader import Faceset, read_info
from shared.storage import inside, read_bytes
from shared.web.answers import MissingError, form, plain
from shared.web.found import Work
from shared.web.jobs.command import run_command
from shared.web.rooms.room import Room, picture_answer
from shared.web.tables import decoded_apart, send_faceset

_MOST_ROWS = 100_000
_MOST_CHANGED = 5_000
_MOST_BYTES = 8 << 20


class FaceRoom(Room):
    """The room of facesets."""

    def routes(self) -> list[Route]:
        """Its addresses."""
        return [
            Route("/faces", self.list_page),
            Route("/faces/{key:str}", self.page),
            Route("/faces/{key:str}/faces.json", self.faces),
            Route("/faces/{key:str}/crops/{row:int}.png", self.crop),
            Route("/faces/{key:str}/keep", self.keep, methods=["POST"]),
        ]

    def list_page(self, request: Request) -> HTMLResponse:
        """All facesets of the folder."""
        return self.pages.page("faces.html.j2", room="faces", rows=[_brief(work) for work in self.works.all("faceset")])

    def page(self, request: Request) -> HTMLResponse:
        """One faceset as a wall of crops."""
        work = self.works.get("faceset", request.path_params["key"])
        return self.pages.page("faceset.html.j2", room="faces", work=work, info=read_info(work.path))

    def faces(self, request: Request) -> Response:
        """All faces with what they are sorted and filtered by, in columns."""
        work = self.works.get("faceset", request.path_params["key"])
        return plain(_columns(_open(work.path)))

    def crop(self, request: Request) -> Response:
        """The crop of one face."""
        work, row = self.works.get("faceset", request.path_params["key"]), int(request.path_params["row"])
        if row >= len(_open(work.path)):
            raise MissingError("there is no such face", hint="reload the page")
        path = inside(work.path, crop_name(row))
        try:
            facts = path.stat()
        except OSError as error:
            raise FacesetError(f"{path} cannot be read: {error.strerror}", hint="extract the faces again") from error
        mark = f"{work.key}-{row}-{facts.st_mtime_ns}-{facts.st_size}"
        return picture_answer(request, mark, lambda: read_bytes(path, _MOST_BYTES, error=FacesetError), "image/png")

    async def keep(self, request: Request) -> Response:
        """Sets faces aside, and takes others back."""
        work = self.works.get("faceset", request.path_params["key"])
        values = await form(request)
        words = ["faces", "keep", str(work.path)]
        for name in ("remove", "restore"):
            rows = values.get(name, [])
            whole = isinstance(rows, list) and all(isinstance(row, int) and not isinstance(row, bool) for row in rows)
            if not whole or len(rows) > _MOST_CHANGED:
                raise UsageError(f"{name} is a list of at most {_MOST_CHANGED} rows", hint="change fewer at once")
            if rows:
                words += [f"--{name}", rows_text(rows)]
        await anyio.to_thread.run_sync(run_command, words, self.folder.root)
        info = read_info(work.path)
        return plain({"kept": info.kept, "faces": info.faces, "set_aside": info.set_aside})


def rows_text(rows: Iterable[int]) -> str:
    """Row numbers as ``"3,7,10-14"``."""
    parts: list[list[int]] = []
    for row in sorted(set(rows)):
        if parts and parts[-1][1] == row - 1:
            parts[-1][1] = row
        else:
            parts.append([row, row])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def _open(path: Path) -> Faceset:
    try:
        facts = [(path / name).stat() for name in ("faceset.toml", "faces.parquet")]
    except OSError as error:
        raise FacesetError(f"{path} cannot be read: {error.strerror}", hint="extract it again") from error
    return _opened(path, *(one.st_mtime_ns for one in facts), *(one.st_size for one in facts))


@lru_cache(maxsize=8)
def _opened(path: Path, *_stamp: int) -> Faceset:
    return Faceset.open(path, read=_table_apart)


def _table_apart(path: Path, faces: int) -> pa.Table:
    return decoded_apart(path, send_faceset, faces, error=FacesetError, hint="extract it again")


def _columns(faceset: Faceset) -> dict[str, Any]:
    table = faceset.table.slice(0, _MOST_ROWS)
    boxes = np.array(table["box"].to_pylist(), dtype=np.float64).reshape(-1, 4)
    columns: dict[str, Any] = {
        name: table[name].to_numpy(zero_copy_only=False).tolist() for name in ("clip", "frame", "track", "kept")
    }
    for name in ("seconds", "sharpness", "yaw_degrees", "pitch_degrees", "roll_degrees", "confidence"):
        columns[name] = [round(float(value), 3) for value in np.nan_to_num(table[name].to_numpy())]
    columns["width_px"] = [round(float(value), 1) for value in boxes[:, 2] - boxes[:, 0]]
    columns["unlikeness"] = _unlikeness(table["embedding"].to_pylist(), np.array(columns["kept"], dtype=bool))
    return {"columns": columns, "clips": [clip.name for clip in faceset.info.clips], "px": faceset.info.px}


def _unlikeness(embeddings: list[list[float] | None], kept: np.ndarray) -> list[float] | None:
    """The distance of each face's identity embedding from the mean of the kept ones; None without embeddings."""
    lengths = {len(one) for one in embeddings if one}
    if len(lengths) != 1:
        return None
    width = lengths.pop()
    values = np.array([one or [np.nan] * width for one in embeddings], dtype=np.float64)
    known = np.isfinite(values).all(axis=1)
    reference = values[known & kept] if (known & kept).any() else values[known]
    distance = np.linalg.norm(values - reference.mean(axis=0), axis=1)
    return [round(float(value), 4) for value in np.where(known, distance, 9.0)]


def _brief(work: Work) -> dict[str, Any]:
    row: dict[str, Any] = {"key": work.key, "place": work.name, "fault": ""}
    try:
        info = read_info(work.path)
    except AssayError as error:
        return row | {"fault": str(error), "name": work.path.name}
    return row | {"name": info.identity, "kept": info.kept, "faces": info.faces, "px": info.px, "rights": info.rights}
