"""A faceset of drawn people for generators: soft blobs with eyes and a mouth, four pictures each."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.faces.align import mean_in_crop
from tests.factories import face_row, write_faceset

PX, PEOPLE, EACH = 64, 8, 3


def drawn_face(person: int, rng: np.random.Generator) -> np.ndarray:
    """(64, 64, 3) uint8: one of the person's pictures."""
    own = np.random.default_rng(person)
    picture = np.full((PX, PX, 3), own.integers(30, 120, 3), np.uint8)
    skin, eyes, lips = (own.integers(low, 255, 3).tolist() for low in (120, 0, 60))
    cv2.ellipse(picture, (32, 34), (20 + person % 4, 26), 0, 0, 360, skin, -1)
    for x in (24, 40):
        cv2.circle(picture, (x + person % 3 - 1, 28), 3, eyes, -1)
    cv2.ellipse(picture, (32, 46), (8, 2 + person % 3), 0, 0, 360, lips, -1)
    noisy = cv2.GaussianBlur(picture, (0, 0), 1.0) + rng.normal(0, 3, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people of one file each, three pictures of everyone."""
    rng = np.random.default_rng(0)
    landmarks = mean_in_crop(PX, "whole")
    faces = [
        (face_row(landmarks, clip=person, frame=number), drawn_face(person, rng))
        for person in range(PEOPLE)
        for number in range(EACH)
    ]
    return write_faceset(tmp_path_factory.mktemp("people") / "crowd", "crowd", faces, clips=range(PEOPLE))
