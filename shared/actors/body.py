"""A person as one mesh: head, eyes, mouth, ears, neck; posed once per frame, with landmarks that are points of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.actors import hair as hair_parts
from shared.actors import sheets
from shared.actors.expression import Expression, Face, turn_about_hinge
from shared.actors.features import EYEBALL_RADIUS, smooth_step
from shared.actors.head import Head
from shared.actors.lattice import MOUTH_CORNER, grid_triangles, head_normals, turned, unit
from shared.actors.look import Look
from shared.actors.paint import tile_uv

_PIVOT = np.array([0.0, -95.0, -88.0])  # where the neck bends

_BAG_LIGHT = np.array([0.9, 0.6, 0.3, 0.1, 0.04, 0.02])


@dataclass(frozen=True, slots=True)
class Pose:
    """Head pose: degrees to the viewer's right, up, and clockwise; millimetres right, up, nearer."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    right: float = 0.0
    up: float = 0.0
    nearer: float = 0.0

    def matrix(self) -> np.ndarray:
        """(3, 3) rotation of the head."""
        yaw, pitch, roll = np.deg2rad([self.yaw, -self.pitch, -self.roll])
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        return turn @ nod @ tilt

    def move(self, points: np.ndarray, follow: np.ndarray | None = None) -> np.ndarray:
        """Points (..., 3) after the head's motion; ``follow`` (...,) is the share of it for each point."""
        moved = turned(points - _PIVOT, self.matrix()) + _PIVOT + np.array([self.right, self.up, self.nearer])
        return moved if follow is None else points + follow[..., None] * (moved - points)


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices of one frame.

    Convention: points (V, 3) and normals (V, 3) float32 in millimetres, the viewer on +z; light (V,) float32.
    """

    points: np.ndarray
    normals: np.ndarray
    light: np.ndarray


@dataclass(frozen=True, eq=False)
class Posed:
    """The geometry of a person in one frame.

    Convention: solid, hair: meshes; skin (R, C, 3): the head's grid, moved, which carries the landmarks.
    """

    solid: Mesh
    hair: Mesh
    skin: np.ndarray


class Body:
    """The parts of one person, in a fixed order, with their triangles and texture coordinates.

    Attributes:
        triangles, uv: of the solid parts; (T, 3) int32 and (V, 2) float32 in units of the atlas' tile
        hair_triangles, hair_uv: of the transparent parts
    """

    def __init__(self, face: Face, look: Look, rng: np.random.Generator) -> None:
        self.face = face
        self.look = look
        head = face.head
        grid = head.grid
        upper = grid.mouth_rows[0]
        middle = len(grid.column) // 2
        self._lip_z = float(face.rest[upper, middle, 2])
        self._lips = np.flatnonzero(np.abs(grid.column) <= MOUTH_CORNER + 1e-9)
        self._lids = [np.flatnonzero((head.lid_s >= -1e-9) & (head.lid_s <= 1 + 1e-9) & half)
                      for half in (grid.column < 0, grid.column > 0)]  # fmt: skip
        self._eye, self._eye_normal, eye_uv = sheets.eyeball()
        self._static = self._static_parts(head, covered=look.hair.length > hair_parts.LONG)
        self._torso, torso_uv, torso_follow = sheets.torso(head.shape)
        self._torso_follow = np.broadcast_to(torso_follow[:, None], self._torso.shape[:2])
        self._hair, hair_uv, hair_follow = hair_parts.hair_sheet(head, look.hair, rng)
        self._hair_follow = np.broadcast_to(hair_follow[:, None], self._hair.shape[:2])
        self._ear_uv = sheets.ear(70.0, head.shape, left=True)[1]
        self.hair_two_sided = look.hair.length > hair_parts.LONG or look.hair.sides > 6.0
        self._beard_rows = np.flatnonzero((grid.row >= 7.7) & (grid.row <= 13.4))
        self._beard_columns = np.flatnonzero(np.abs(grid.column) <= 5.75)
        self.triangles, self.uv = self._index_solid(eye_uv, torso_uv)
        self.hair_triangles, self.hair_uv = self._index_hair(hair_uv)

    @staticmethod
    def _static_parts(head: Head, *, covered: bool) -> dict[str, np.ndarray]:
        side = np.abs(head.flat[..., 0])[(head.grid.row > 6) & (head.grid.row < 7)].max()
        return {
            "ear_left": sheets.ear(side, head.shape, left=True, covered=covered)[0],
            "ear_right": sheets.ear(side, head.shape, left=False, covered=covered)[0],
        }

    # -- one frame ---------------------------------------------------------------------------------------------

    def posed(self, expression: Expression, pose: Pose) -> Posed:
        """The geometry with this expression and pose."""
        skin = self.face.points(expression)
        solid, lights = self._solid_parts(skin, expression)
        moved: list[np.ndarray] = [pose.move(part) for part in solid]
        normals = [head_normals(moved[0], self.face.head.grid)]
        normals += [unit(np.cross(*_slopes(part))) for part in moved[1:]]
        torso = pose.move(self._torso, self._torso_follow)
        moved.append(torso)
        normals.append(unit(np.cross(*_slopes(torso))))
        lights.append(np.ones(torso.shape[:2]))
        hair = [pose.move(self._hair, self._hair_follow)]
        hair += [pose.move(part) for part in self._face_hair(skin, expression)]
        hair_normals = [unit(np.cross(*_slopes(part))) for part in hair]
        lit = [np.ones(part.shape[:2]) for part in hair]
        return Posed(_joined(moved, normals, lights), _joined(hair, hair_normals, lit), moved[0])

    def _solid_parts(self, skin: np.ndarray, expression: Expression) -> tuple[list[np.ndarray], list[np.ndarray]]:
        head = self.face.head
        plan, grid = head.plan, head.grid
        parts, lights = [skin], [np.ones(skin.shape[:2])]
        for side, columns in enumerate(self._lids):
            centre = plan.eye * np.array([-1.0 if side == 0 else 1.0, 1.0, 1.0])
            eye = self._turned_eye(expression.gaze) + centre
            upper, lower = skin[grid.eye_rows[0], columns], skin[grid.eye_rows[1], columns]
            parts += [eye, _rim(upper, centre), _rim(lower, centre)]
            lights += [_under_lid(eye, upper, lower), np.ones((2, len(columns))), np.ones((2, len(columns)))]
        parts += sheets.mouth_bag(*(skin[row, self._lips] for row in grid.mouth_rows))
        jaw = expression.jaw
        lower_teeth = turn_about_hinge(sheets.teeth(plan, self._lip_z, upper=False), jaw)
        parts += [sheets.teeth(plan, self._lip_z, upper=True), lower_teeth]
        parts += [turn_about_hinge(sheets.tongue(plan, self._lip_z), 0.92 * jaw)]
        lights += [np.ones(part.shape[:2]) for part in parts[len(lights) :]]
        for index in (7, 8):  # so do the lips' inner sides, increasingly
            lights[index] = np.broadcast_to(_BAG_LIGHT[:, None], parts[index].shape[:2])
        for index in (9, 10, 11):  # teeth and tongue are shaded by the mouth
            lights[index] = self._in_mouth(parts[index], skin)
        parts += [self._static["ear_left"], self._static["ear_right"]]
        lights += [np.ones(part.shape[:2]) for part in parts[-2:]]
        return parts, lights

    def _turned_eye(self, gaze: tuple[float, float]) -> np.ndarray:
        matrix = Pose(yaw=gaze[0], pitch=gaze[1]).matrix()
        return turned(self._eye, matrix)

    def _in_mouth(self, part: np.ndarray, skin: np.ndarray) -> np.ndarray:
        """Light on teeth and tongue: little near the lips' shade and deep inside."""
        rows = self.face.head.grid.mouth_rows
        order = np.argsort(skin[rows[0], self._lips, 0])
        upper = np.interp(part[..., 0], skin[rows[0], self._lips, 0][order], skin[rows[0], self._lips, 1][order])
        depth = np.clip((self._lip_z - part[..., 2] - 4.0) / 26.0, 0.0, 1.0)
        return (0.5 + 0.5 * smooth_step(upper - part[..., 1], -1.5, 5.0)) * (1 - 0.5 * depth)

    def _face_hair(self, skin: np.ndarray, expression: Expression) -> list[np.ndarray]:
        grid, plan = self.face.head.grid, self.face.head.plan
        block = np.ix_(self._beard_rows, self._beard_columns)
        normals = head_normals(skin, grid)
        parts = [skin[block] + normals[block] * (0.4 + self.look.beard_length)]
        for side, columns in enumerate(self._lids):
            centre = plan.eye * np.array([-1.0 if side == 0 else 1.0, 1.0, 1.0])
            parts.append(
                hair_parts.lash_strip(skin[grid.eye_rows[0], columns], centre, 2.0 + 5.0 * self.look.lashes)[::-1]
            )
        return parts

    # -- once a person -----------------------------------------------------------------------------------------

    def _index_solid(self, eye_uv: np.ndarray, torso_uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grid = self.face.head.grid
        rows, columns = grid.shape
        u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
        uvs = [tile_uv("head", u, v)]
        triangles = [grid.triangles]
        two_sided = False
        layout: list[tuple[str, np.ndarray, bool]] = []
        for lids in self._lids:
            along = self.face.head.lid_s[lids]
            layout += [("eye", eye_uv, False), ("rim", _band(along, 0), True), ("rim", _band(along, 1), True)]
        lips = _band(np.linspace(0, 1, len(self._lips)), 2, rows=6)
        layout += [("rim", lips, True), ("rim", lips, True)]
        layout += [("teeth", _plain_uv(5, 27), True), ("teeth", _plain_uv(5, 27), True)]
        layout += [("tongue", _plain_uv(8, 11), True)]
        layout += [("ear", self._ear_uv, True), ("ear", self._ear_uv, True), ("torso", torso_uv, two_sided)]
        start = rows * columns
        for tile, uv, both in layout:
            own = grid_triangles(*uv.shape[:2]) + start
            triangles.append(np.concatenate([own, own[:, ::-1]]) if both else own)
            uvs.append(tile_uv(tile, uv[..., 0], uv[..., 1]))
            start += uv.shape[0] * uv.shape[1]
        return np.concatenate(triangles).astype(np.int32), np.concatenate([uv.reshape(-1, 2) for uv in uvs])

    def _index_hair(self, hair_uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grid = self.face.head.grid
        rows, columns = grid.shape
        u = np.broadcast_to(
            (self._beard_columns / (columns - 1))[None], (len(self._beard_rows), len(self._beard_columns))
        )
        v = np.broadcast_to((self._beard_rows / (rows - 1))[:, None], u.shape)
        layout = [("cap", hair_uv, ()), ("beard", np.stack([u, v], -1), self._beard_slit())]
        for lids in self._lids:
            layout.append(("lash", _plain_uv(3, len(lids))[::-1], ()))
        start, triangles, uvs = 0, [], []
        for tile, uv, skip in layout:
            drop = (tile == "cap" and self.look.hair.density < 0.3) or (
                tile == "beard" and self.look.beard_length < 0.5
            )
            if not drop:
                triangles.append(grid_triangles(uv.shape[0], uv.shape[1], skip) + start)
            uvs.append(hair_parts.hair_uv(tile, uv[..., 0], uv[..., 1]))
            start += uv.shape[0] * uv.shape[1]
        return np.concatenate(triangles).astype(np.int32), np.concatenate([uv.reshape(-1, 2) for uv in uvs])

    def _beard_slit(self) -> tuple[int, ...]:
        return tuple(np.flatnonzero(self._beard_rows == self.face.head.grid.mouth_rows[0]).tolist())


def _slopes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Down and across, for a cross product that points outwards."""
    return np.gradient(points, axis=0), np.gradient(points, axis=1)


def _joined(points: list[np.ndarray], normals: list[np.ndarray], lights: list[np.ndarray]) -> Mesh:
    return Mesh(
        np.concatenate([part.reshape(-1, 3) for part in points]).astype(np.float32),
        np.concatenate([part.reshape(-1, 3) for part in normals]).astype(np.float32),
        np.concatenate([part.ravel() for part in lights]).astype(np.float32),
    )


def _rim(edge: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(2, N, 3): from a lid's edge to the eyeball."""
    away = edge - centre
    inner = centre + away / np.linalg.norm(away, axis=-1, keepdims=True) * (EYEBALL_RADIUS - 0.4)
    return np.stack([edge, inner])


def _under_lid(eye: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Light on an eyeball: the upper lid and the lashes shade it, the corners are dim."""
    order = np.argsort(upper[:, 0])
    top = np.interp(eye[..., 0], upper[order, 0], upper[order, 1])
    bottom = np.interp(eye[..., 0], lower[order, 0], lower[order, 1])
    shade = 0.42 + 0.58 * smooth_step(top - eye[..., 1], -0.5, 4.2)
    shade *= 0.80 + 0.20 * smooth_step(eye[..., 1] - bottom, -0.5, 1.8)
    left, right = upper[order[0], 0], upper[order[-1], 0]
    return shade * (0.68 + 0.32 * smooth_step(np.minimum(eye[..., 0] - left, right - eye[..., 0]), 0.0, 6.0))


def _plain_uv(rows: int, columns: int) -> np.ndarray:
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    return np.stack([u, v], axis=-1)


def _band(along: np.ndarray, band: int, rows: int = 2) -> np.ndarray:
    uv = _plain_uv(rows, len(along))
    uv[..., 0] = along
    uv[..., 1] = (band + 0.08 + 0.84 * uv[..., 1]) / 3.0
    return uv
