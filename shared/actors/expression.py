"""Facial motion: jaw, lips, lids and brows as displacement fields over a head's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.actors.features import bump, smooth_step
from shared.actors.head import Head

JAW_DEGREES = 17.0  # the angle of ``jaw = 1``
_JAW_HINGE = np.array([0.0, -18.0, -78.0])
_CORNER_SHARE = 0.42  # how much of the jaw's travel the mouth's corners follow
_LID_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Expression:
    """Expression parameters of a face.

    Convention:
        jaw: 0 shut to 1 wide open; smile: 0 to 1; pucker: -1 wide to 1 round; bare: 0 to 1, lips off the teeth
        blink: (viewer's left, viewer's right), 0 open to 1 shut, negative for widened eyes
        brow: -1 lowered to 1 raised; frown: 0 to 1, brows together
        gaze: (degrees to the viewer's right, degrees up)
    """

    jaw: float = 0.0
    smile: float = 0.0
    pucker: float = 0.0
    bare: float = 0.0
    blink: tuple[float, float] = (0.0, 0.0)
    brow: float = 0.0
    frown: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Face:
    """A head with its displacement fields.

    Convention: all fields (R, C, ...) in millimetres over the head's grid.
    """

    head: Head
    rest: np.ndarray
    lids: np.ndarray
    jaw_share: np.ndarray
    smile: np.ndarray
    pucker: np.ndarray
    bare: np.ndarray
    brow: np.ndarray
    frown: np.ndarray

    @classmethod
    def build(cls, head: Head) -> Face:
        """The face of ``head`` with all its displacement fields."""
        rest = head.surface(0.0)
        lids = np.stack([head.surface(level) - rest for level in _LID_LEVELS])
        front = smooth_step(rest[..., 2], -85.0, -45.0)[..., None]
        return cls(
            head, rest, lids, _jaw_share(head, rest), _smile(head, rest) * front, _pucker(head, rest) * front,
            _bare(head, rest) * front, _brow(head, rest) * front, _frown(head, rest) * front,
        )  # fmt: skip

    def points(self, expression: Expression) -> np.ndarray:
        """(R, C, 3) float64: the skin in this expression, before the head turns."""
        out = self.rest + expression.smile * self.smile + expression.pucker * self.pucker
        out += expression.bare * self.bare + expression.brow * self.brow + expression.frown * self.frown
        middle = self.rest.shape[1] // 2
        squint = 0.16 * expression.smile
        for side, columns in enumerate((slice(0, middle), slice(middle, None))):
            out[:, columns] += self._lids_at(expression.blink[side] + squint, columns)
        opened = turn_about_hinge(out, expression.jaw)
        return out + self.jaw_share[..., None] * (opened - out)

    def _lids_at(self, closed: float, columns: slice) -> np.ndarray:
        place = float(np.clip(closed, -0.25, 1.0)) * (len(_LID_LEVELS) - 1)
        low = int(np.clip(np.floor(place), 0, len(_LID_LEVELS) - 2))
        share = place - low
        return (1 - share) * self.lids[low][:, columns] + share * self.lids[low + 1][:, columns]


def turn_about_hinge(points: np.ndarray, jaw: float) -> np.ndarray:
    """``points`` (..., 3) rotated by the jaw opening ``jaw``."""
    angle = np.deg2rad(JAW_DEGREES * jaw)
    cosine, sine = np.cos(angle), np.sin(angle)
    y, z = points[..., 1] - _JAW_HINGE[1], points[..., 2] - _JAW_HINGE[2]
    turned = points.copy()
    turned[..., 1] = _JAW_HINGE[1] + cosine * y - sine * z
    turned[..., 2] = _JAW_HINGE[2] + sine * y + cosine * z
    return turned


def _mouth_frame(head: Head, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(C,) place along the mouth, 1 at the corner; (C,) how far it opens, 1 in the middle; (R, C) mm below the slit."""
    upper = head.grid.mouth_rows[0]
    s = np.abs(head.flat[upper, :, 0]) / float(head.plan.mouth_corner[0])
    s = np.where(rest[upper, :, 2] < -60.0, 9.0, s)
    opens = np.clip(1.0 - np.minimum(s, 1.0) ** 2, 0.0, 1.0) ** 0.62
    return s, opens, rest[upper, :, 1][None] - rest[..., 1]


def _jaw_share(head: Head, rest: np.ndarray) -> np.ndarray:
    s, opens, below = _mouth_frame(head, rest)
    del s
    rows = np.arange(rest.shape[0])[:, None]
    lower_edge = _CORNER_SHARE + (1 - _CORNER_SHARE) * opens[None]
    upper_edge = _CORNER_SHARE * (1 - opens[None])
    lower = lower_edge + (1 - lower_edge) * smooth_step(below, 0.0, 26.0)
    upper = upper_edge * (1 - smooth_step(-below, 0.0, 30.0))
    share = np.where(rows >= head.grid.mouth_rows[1], lower, upper)
    behind = smooth_step(rest[..., 2], -92.0, -52.0)
    neck = 1 - 0.55 * smooth_step(head.grid.row, 12.6, 14.0)
    return share * behind * neck[:, None]


def _field(rest: np.ndarray, weight: np.ndarray, direction: tuple[float, float, float]) -> np.ndarray:
    """A displacement mirrored on both halves."""
    side = np.sign(rest[..., 0])
    return np.stack([side * weight * direction[0], weight * direction[1], weight * direction[2]], axis=-1)


def _smile(head: Head, rest: np.ndarray) -> np.ndarray:
    ax, y = np.abs(rest[..., 0]), rest[..., 1]
    corner, mouth = float(head.plan.mouth_corner[0]), head.plan.mouth_y
    out = _field(rest, bump(ax, y, (corner + 2.0, mouth), (13.0, 13.0)), (6.5, 6.2, -3.2))
    out += _field(rest, bump(ax, y, (38.0, mouth + 33.0), (14.0, 12.0)), (1.2, 3.6, 3.4))
    out += _field(rest, bump(ax, y, (11.0, mouth + 6.0), (12.0, 6.0)), (0.8, 1.6, -1.2))
    out += _field(rest, bump(ax, y, (0.0, mouth - 9.0), (14.0, 8.0)), (0.0, -0.6, -1.4))
    crease = bump(ax, y, (corner + 7.0, mouth + 9.0), (3.2, 12.0))
    return out + _field(rest, crease, (0.0, 0.0, -1.6))


def _pucker(head: Head, rest: np.ndarray) -> np.ndarray:
    ax, y = np.abs(rest[..., 0]), rest[..., 1]
    corner, mouth = float(head.plan.mouth_corner[0]), head.plan.mouth_y
    pull = bump(ax, y, (corner, mouth), (15.0, 15.0)) * np.clip(ax / 8.0, 0, 1)
    return _field(rest, pull, (-6.0, 0.0, 1.0)) + _field(rest, bump(ax, y, (0.0, mouth), (15.0, 11.0)), (0.0, 0.0, 4.0))


def _bare(head: Head, rest: np.ndarray) -> np.ndarray:
    s, opens, below = _mouth_frame(head, rest)
    del s
    rows = np.arange(rest.shape[0])[:, None]
    up = opens[None] * np.exp(-0.5 * (below / 9.0) ** 2) * (rows <= head.grid.mouth_rows[0])
    down = opens[None] * np.exp(-0.5 * (below / 9.0) ** 2) * (rows >= head.grid.mouth_rows[1])
    return _field(rest, up, (0.0, 3.4, -0.6)) + _field(rest, down, (0.0, -3.0, -0.6))


def _brow(head: Head, rest: np.ndarray) -> np.ndarray:
    ax, y = np.abs(rest[..., 0]), rest[..., 1]
    lift = bump(ax, y, (30.0, 24.0), (26.0, 9.0)) + 0.35 * bump(ax, y, (20.0, 42.0), (34.0, 12.0))
    return _field(rest, lift, (0.0, 5.2, 0.0))


def _frown(head: Head, rest: np.ndarray) -> np.ndarray:
    ax, y = np.abs(rest[..., 0]), rest[..., 1]
    pull = bump(ax, y, (14.0, 19.0), (11.0, 8.0)) * np.clip(ax / 5.0, 0, 1)
    return _field(rest, pull, (-3.0, -3.6, 1.0))
