"""Shape parameters of a head."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """Shape of a head, each value in standard deviations from an adult mean.

    ``age`` is -1 (young) to 2 (old) and deepens folds.
    """

    head_width: float = 0.0
    forehead_height: float = 0.0
    cheek_width: float = 0.0
    jaw_width: float = 0.0
    jaw_angle: float = 0.0
    face_length: float = 0.0
    chin_length: float = 0.0
    chin_width: float = 0.0
    chin_projection: float = 0.0
    chin_cleft: float = 0.0
    cheekbone: float = 0.0
    cheek_fullness: float = 0.0
    brow_ridge: float = 0.0
    brow_height: float = 0.0
    eye_spacing: float = 0.0
    eye_width: float = 0.0
    eye_opening: float = 0.0
    eye_tilt: float = 0.0
    eye_depth: float = 0.0
    lid_crease: float = 0.0
    nose_length: float = 0.0
    nose_width: float = 0.0
    nose_bridge: float = 0.0
    nose_hump: float = 0.0
    nose_projection: float = 0.0
    nose_tip_size: float = 0.0
    nose_tip_up: float = 0.0
    mouth_width: float = 0.0
    mouth_height: float = 0.0
    upper_lip: float = 0.0
    lower_lip: float = 0.0
    ear_size: float = 0.0
    neck_width: float = 0.0
    age: float = 0.0
