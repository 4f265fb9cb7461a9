"""Manual landmarks: a clip of the folder at a frame, 68 points to drag, saved as the finder ``sidecar`` reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from shared.errors import FinderError, UsageError
from shared.faces.align import mean_in_crop
from shared.faces.finders.sidecar import sidecar_of
from shared.types import NUM_LANDMARKS
from shared.video.container import VIDEO_SUFFIXES
from shared.web.answers import MissingError, form, number_of, plain
from shared.web.found import key_of
from shared.web.frames.clip import facts_of_clip
from shared.web.jobs.command import run_command
from shared.web.rooms.room import Room, frame_answer, index_of
from shared.web.tables import decoded_apart, send_landmarks

_MOST_CLIPS = 2_000
_DEEPEST = 6
_LEFT_OUT = ("masks", "evidence", "serve")


class LandmarkRoom(Room):
    """The part of the room of faces in which landmarks are set by hand."""

    def routes(self) -> list[Route]:
        """Its addresses."""
        clip = "/landmarks/{key:str}"
        return [
            Route("/landmarks", self.list_page),
            Route(clip, self.page),
            Route(f"{clip}/facts.json", self.facts),
            Route(f"{clip}/frames/{{index:int}}.jpg", self.frame),
            Route(f"{clip}/save", self.save, methods=["POST"]),
        ]

    def _clips(self) -> dict[str, tuple[str, Path]]:
        """Name and path of the videos of the folder, by key.

        Masks are left out, and files that were handed in: nothing is written beside evidence.
        """
        found: dict[str, tuple[str, Path]] = {}
        for folder, folders, names in os.walk(self.folder.root):
            place = Path(folder).relative_to(self.folder.root)
            folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _LEFT_OUT)
            if len(place.parts) >= _DEEPEST:
                folders[:] = []
            for name in sorted(names):
                path = Path(folder) / name
                if path.suffix.lower() in VIDEO_SUFFIXES and not name.startswith(".") and not path.is_symlink():
                    text = (place / name).as_posix()
                    found[key_of(text)] = (text, path)
            if len(found) >= _MOST_CLIPS:
                break
        return found

    def _clip(self, request: Request) -> tuple[str, Path]:
        found = self._clips().get(request.path_params["key"])
        if found is None:
            raise MissingError("there is no such clip", hint="go back to the list")
        return found

    def list_page(self, request: Request) -> HTMLResponse:
        """The clips of the folder."""
        clips = [{"key": key, "name": name} for key, (name, _) in self._clips().items()]
        return self.pages.page("landmarks_list.html.j2", room="faces", clips=clips, most=_MOST_CLIPS)

    def page(self, request: Request) -> HTMLResponse:
        """One clip, to set points in."""
        name, _ = self._clip(request)
        return self.pages.page("landmarks.html.j2", room="faces", name=name, key=request.path_params["key"])

    def facts(self, request: Request) -> Response:
        """The clip, the points that are set, and the mean shape in a square of side 1 to begin with."""
        _, path = self._clip(request)
        faces = _landmarks_beside(path)
        mean = (mean_in_crop(256, "half") / 256).round(5).tolist()
        return plain({"clip": facts_of_clip(self.shelf.clip(path)), "faces": faces, "mean": mean})

    def frame(self, request: Request) -> Response:
        """One frame."""
        return frame_answer(request, self.shelf.clip(self._clip(request)[1]), index_of(request))

    async def save(self, request: Request) -> Response:
        """Makes 68 points the face of a frame, or none; fills the frames since another one."""
        values = await form(request)
        return plain(await anyio.to_thread.run_sync(self._save, self._clip(request)[1], values))

    def _save(self, path: Path, values: dict[str, Any]) -> dict[str, Any]:
        words = ["faces", "landmarks", f"--frame={int(number_of(values, 'frame', 0, 1 << 31))}"]
        points = values.get("points")
        if points is not None:
            words.append(f"--points={_points_text(points)}")
        if values.get("since") is not None:
            words.append(f"--since={int(number_of(values, 'since', 0, 1 << 31))}")
        return run_command([*words, "--", str(path)], self.folder.root)


def _landmarks_beside(clip: Path) -> dict[int, list[list[list[float]]]]:
    """The faces beside a clip by frame, 68 points each; empty where there is no table."""
    path = sidecar_of(clip)
    if not path.is_file():
        return {}
    table = decoded_apart(path, send_landmarks, error=FinderError)
    points = (
        table["landmarks"].combine_chunks().flatten().to_numpy().astype(float).round(2).reshape(-1, NUM_LANDMARKS, 2)
    )
    faces: dict[int, list[list[list[float]]]] = {}
    for frame, each in zip(table["frame"].to_pylist(), points, strict=True):
        faces.setdefault(frame, []).append(each.tolist())
    return faces


def _points_text(points: object) -> str:
    """68 pairs as the command takes them.

    Raises:
        UsageError: they are not 68 pairs of numbers.
    """
    whole = isinstance(points, list) and len(points) == NUM_LANDMARKS
    pairs = points if whole and isinstance(points, list) else []
    for pair in pairs:
        numbers = isinstance(pair, list) and len(pair) == 2
        if not numbers or not all(isinstance(one, int | float) and abs(one) < 1e5 for one in pair):
            whole = False
    if not whole:
        raise UsageError(f"landmarks are {NUM_LANDMARKS} pairs of numbers", hint="reload the page")
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in pairs)
