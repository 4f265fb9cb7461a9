"""Faces: a faceset as a wall of crops, sorted and filtered; faces are set aside and taken back by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np
import pyarrow as pa
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared.errors import AssayError, FacesetError, UsageError
from shared.faces.facesets.keeping import need_rows
from shared.faces.facesets.layout import crop_name
from shared.faces.facesets.reader import Faceset, read_info
from shared.storage import inside, read_bytes
from shared.types import check_name
from shared.web.answers import MissingError, form, plain, text_of
from shared.web.found import Work, key_of
from shared.web.jobs.command import run_command
from shared.web.rooms.room import Room, picture_answer
from shared.web.tables import Kept, decoded_apart, send_faceset

_MOST_ROWS = 100_000
_MOST_CHANGED = 5_000
_MOST_MERGED = 64
_MOST_BYTES = 8 << 20
_OPENED: Kept[Faceset] = Kept(lambda faceset: faceset.table.nbytes)


class FaceRoom(Room):
    """The room of facesets."""

    def routes(self) -> list[Route]:
        """Its addresses."""
        return [
            Route("/faces", self.list_page),
            Route("/faces/merge", self.merge, methods=["POST"]),
            Route("/faces/{key:str}", self.page),
            Route("/faces/{key:str}/faces.json", self.faces),
            Route("/faces/{key:str}/crops/{row:int}.png", self.crop),
            Route("/faces/{key:str}/keep", self.keep, methods=["POST"]),
            Route("/faces/{key:str}/move", self.move, methods=["POST"]),
            Route("/faces/{key:str}/likeness", self.likeness, methods=["POST"]),
        ]

    def list_page(self, request: Request) -> HTMLResponse:
        """All facesets of the folder."""
        return self.pages.page("faces.html.j2", room="faces", rows=[_brief(work) for work in self.works.all("faceset")])

    def page(self, request: Request) -> HTMLResponse:
        """One faceset as a wall of crops."""
        work = self.works.get("faceset", request.path_params["key"])
        others = [other for other in self.works.all("faceset") if other.key != work.key]
        return self.pages.page("faceset.html.j2", room="faces", work=work, info=read_info(work.path), others=others)

    def faces(self, request: Request) -> Response:
        """All faces with what they are sorted and filtered by, in columns."""
        work = self.works.get("faceset", request.path_params["key"])
        return plain(_columns(_open(work.path)))

    def crop(self, request: Request) -> Response:
        """The crop of one face."""
        work, row = self.works.get("faceset", request.path_params["key"]), int(request.path_params["row"])
        if row >= read_info(work.path).faces:
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
            rows = _rows_of(values, name)
            if rows:
                words += [f"--{name}", rows_text(rows)]
        await anyio.to_thread.run_sync(run_command, words, self.folder.root)
        info = read_info(work.path)
        return plain({"kept": info.kept, "faces": info.faces, "set_aside": info.set_aside})

    async def move(self, request: Request) -> Response:
        """Moves faces to the faceset of another person: one of the folder, or a new one beside this one."""
        work = self.works.get("faceset", request.path_params["key"])
        values = await form(request)
        rows = _rows_of(values, "rows")
        to = values.get("to")
        place = self._new_place(work, values) if to is None else self.works.get("faceset", str(to)).path
        words = ["faces", "move", str(work.path), f"--rows={rows_text(rows)}", "--to", str(place)]
        done = await anyio.to_thread.run_sync(run_command, words, self.folder.root)
        return self._told(place, done.get("target", {}))

    async def merge(self, request: Request) -> Response:
        """Merges facesets into a new one beside the first of them."""
        values = await form(request)
        keys = values.get("facesets")
        if not isinstance(keys, list) or not 2 <= len(keys) <= _MOST_MERGED:
            raise UsageError(f"2 to {_MOST_MERGED} facesets are merged at once", hint="choose them in the list")
        works = [self.works.get("faceset", str(key)) for key in keys]
        place = self._new_place(works[0], values)
        words = ["faces", "merge", *(str(work.path) for work in works), "--out", str(place)]
        words.append(f"--identity={place.name}")
        return self._told(place, await anyio.to_thread.run_sync(run_command, words, self.folder.root))

    def _new_place(self, beside: Work, values: dict[str, Any]) -> Path:
        """The folder of a new faceset, named as the form says, beside another one.

        Raises:
            UsageError: it is no name, or is taken.
        """
        name = text_of(values, "name", 80)
        try:
            check_name(name, "person")
        except ValueError as error:
            raise UsageError(str(error), hint="for example ann-2") from error
        if beside.path == self.folder.root:
            raise UsageError("the served folder is this faceset itself", hint="serve the folder that it lies in")
        place = beside.path.parent / name
        if place.exists() or place.is_symlink():
            raise UsageError(f"{name} is there already", hint="choose another name, or move the faces to that one")
        return place

    def _told(self, place: Path, info: dict[str, Any]) -> Response:
        self.works.forget()
        name = place.relative_to(self.folder.root).as_posix()
        return plain({"key": key_of(name), "name": info.get("identity", ""), "kept": info.get("kept", 0)})

    async def likeness(self, request: Request) -> Response:
        """How far the identity of each face is from the mean of the marked ones."""
        work = self.works.get("faceset", request.path_params["key"])
        rows = _rows_of(await form(request), "rows")
        return plain(await anyio.to_thread.run_sync(_distances_from, work.path, rows))


def _distances_from(path: Path, rows: list[int]) -> dict[str, Any]:
    faceset = _open(path)
    need_rows(faceset, rows)
    marked = np.zeros(min(len(faceset), _MOST_ROWS), bool)
    marked[np.array([row for row in rows if row < len(marked)], np.int64)] = True
    table = faceset.table.slice(0, _MOST_ROWS)
    found = _identities(table["embedding"].to_pylist(), table["track"].to_numpy())
    if found is None or not (found[1] & marked).any():
        raise UsageError("no face is marked whose identity is known", hint="mark one; assay[dlib] computes identities")
    return {"distances": _distances(*found, marked)}


def _rows_of(values: dict[str, Any], name: str) -> list[int]:
    """Rows of a form.

    Raises:
        UsageError: they are no rows, or too many.
    """
    rows = values.get(name, [])
    whole = isinstance(rows, list) and all(isinstance(row, int) and not isinstance(row, bool) for row in rows)
    if not whole or len(rows) > _MOST_CHANGED or any(row < 0 for row in rows):
        raise UsageError(f"{name} is a list of at most {_MOST_CHANGED} rows", hint="change fewer at once")
    return rows


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
    key = (path, *(one.st_mtime_ns for one in facts), *(one.st_size for one in facts))
    return _OPENED.get(key, lambda: Faceset.open(path, read=_table_apart))


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
    kept = np.array(columns["kept"], dtype=bool)
    found = _identities(table["embedding"].to_pylist(), np.array(columns["track"]))
    columns["unlikeness"] = None if found is None else _distances(*found, kept)
    return {"columns": columns, "clips": [clip.name for clip in faceset.info.clips], "px": faceset.info.px}


def _identities(embeddings: list[list[float] | None], tracks: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The identity embedding of each face, (N, D), and whether it is known, (N,); None without embeddings.

    A face without one has the mean of its track.
    """
    lengths = {len(one) for one in embeddings if one}
    if len(lengths) != 1:
        return None
    width = lengths.pop()
    values = np.array([one or [np.nan] * width for one in embeddings], dtype=np.float64)
    known = np.isfinite(values).all(axis=1)
    numbers = np.unique(tracks, return_inverse=True)[1]
    counts = np.bincount(numbers, weights=known)[numbers]
    filled = ~known & (counts > 0)
    for column in values.T if filled.any() else ():
        sums = np.bincount(numbers, weights=np.where(known, column, 0.0))[numbers]
        column[filled] = sums[filled] / counts[filled]
    return values, known | filled


def _distances(values: np.ndarray, known: np.ndarray, chosen: np.ndarray) -> list[float]:
    """The distance of each face from the mean of the chosen ones, of all if none of those is known; 9 if unknown."""
    reference = values[known & chosen] if (known & chosen).any() else values[known]
    distance = np.linalg.norm(values - reference.mean(axis=0), axis=1)
    return [round(float(value), 4) for value in np.where(known, distance, 9.0)]


def _brief(work: Work) -> dict[str, Any]:
    row: dict[str, Any] = {"key": work.key, "place": work.name, "fault": ""}
    try:
        info = read_info(work.path)
    except AssayError as error:
        return row | {"fault": str(error), "name": work.path.name}
    return row | {"name": info.identity, "kept": info.kept, "faces": info.faces, "px": info.px, "rights": info.rights}
