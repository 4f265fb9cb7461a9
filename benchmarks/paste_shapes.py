"""Where the seam of each paste lies and how wide it is: presets without jitter, on the mean face."""

from __future__ import annotations

import cv2
import numpy as np

from shared.faces.align import MEAN_FACE, invert, map_points, scale_of
from shared.faces.pastes.mask import plain_region, soften
from shared.faces.pastes.presets import geometry, preset_settings, presets
from shared.faces.pastes.square import FACE_WIDTH, lay, square_matrix

FRAME = 1000


class Pasted:
    """The alpha of a paste without jitter, in its square and in a frame; a mask that a model would give is the hull.

    Args:
        name: a preset, or one of its variants.
        width: of the face in frame pixels.
        roll: of the head in degrees.
        square: settings of the square that override the preset's.
    """

    def __init__(self, name: str, width: float = 200.0, roll: float = 0.0, **square: int) -> None:
        settings = preset_settings(name)[1]
        self.square, self.mask = geometry(settings | {"square": settings["square"] | square})
        landmarks = _face(width, roll)
        self.matrix = square_matrix(landmarks, self.square)
        self.side = self.square.px / scale_of(self.matrix)
        self.region = plain_region(self.mask, map_points(self.matrix, landmarks), self.square.px)
        self.in_square = soften(self.region, self.mask, crop_per_frame=scale_of(self.matrix))
        crop = np.zeros((self.square.px, self.square.px, 3), np.float32)
        laid = lay(crop, self.in_square, self.matrix, self.square, self.mask, width=FRAME, height=FRAME)
        assert laid is not None
        x0, y0, x1, y1 = laid.bounds
        self.in_frame = np.zeros((FRAME, FRAME), np.float32)
        self.in_frame[y0:y1, x0:x1] = laid.alpha

    @property
    def left(self) -> float:
        """Alpha on the square's outermost pixel in the middle of its left side, before the warp."""
        return float(self.in_square[self.square.px // 2, 0])

    def edge(self, side: str = "left") -> tuple[float, float]:
        """Where alpha is half, and how wide it takes from .1 to .9; in percent of the side, from its middle inward.

        ``side`` is "left" or "top".
        """
        share = np.linspace(-0.05, 0.5, 5501)
        along, middle = -0.5 + share * self.square.px, np.full(len(share), (self.square.px - 1) / 2)
        points = np.column_stack([along, middle] if side == "left" else [middle, along])
        places = map_points(invert(self.matrix), points).astype(np.float32)
        alpha = cv2.remap(self.in_frame, places[:, :1], places[:, 1:], cv2.INTER_LINEAR)[:, 0]
        low, half, high = (100 * share[int(np.argmax(alpha >= level))] for level in (0.1, 0.5, 0.9))
        return float(half), float(high - low)


def markdown() -> str:
    """A table of all variants: square, seam at a face width of 200 px, upright and turned by 20 degrees, and more."""
    lines = [
        "| paste | square, px | mask | seam | turned | step | warps in, out | colour | crf |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for preset in presets().values():
        for variant in preset.variants:
            name = f"{preset.name}:{variant.name}"
            upright, turned = Pasted(name), Pasted(name, roll=20.0)
            settings, square = preset.settings_of(variant), upright.square
            hop = f" > {square.hop}" if square.hop else ""
            colour = settings["color"]["method"] + (", zero-filled" if settings["color"].get("zero_filled") else "")
            cells = [
                f"`{name}`",
                f"{square.side:.2f} W, {square.px}{hop}{', rewritten' if square.rewrite else ''}",
                upright.mask.kind,
                _seam(upright),
                _seam(turned),
                f"{upright.left:.2f}" if 0.001 < upright.left < 1 and upright.mask.space != "frame" else "-",
                f"{square.into}, {square.out}",
                "Poisson" if settings.get("blend", {}).get("method") == "poisson" else colour,
                "-".join(str(one) for one in dict.fromkeys(preset.crf)),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _seam(pasted: Pasted) -> str:
    half, width = pasted.edge()
    return f"{half:.1f} / {width:.1f}"


def _face(width: float, roll: float) -> np.ndarray:
    """(68, 2): the mean face, ``width`` pixels wide, turned by ``roll`` degrees, in the middle of the frame."""
    turn = np.radians(roll)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return ((MEAN_FACE - 0.5) / FACE_WIDTH * width) @ rotation.T + FRAME / 2
