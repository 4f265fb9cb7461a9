from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from forge.swapping.masks import FrameMasks
from forge.swapping.previews import PreviewSheet
from forge.swapping.stages import CompositedFrame
from shared.types import Frame, Timestamp


def _done(index: int, width: int = 60, height: int = 40) -> CompositedFrame:
    image = np.full((height, width, 3), 40 + index, np.uint8)
    empty = np.zeros((height, width), np.uint8)
    frame = Frame(index, Timestamp(index, Fraction(1, 25)), np.full_like(image, 10))
    return CompositedFrame(frame, image, FrameMasks(empty + 200, empty, empty))


def test_four_of_the_frames_to_show_are_laid_out_in_order():
    sheet = PreviewSheet([3, 4, 5, 6, 7, 8, 9])
    for index in range(12):
        sheet.offer(_done(index))
    picture = sheet.picture()
    rows = picture[-160:].reshape(4, 40, 180, 3)
    assert picture.shape == (22 + 4 * 40, 3 * 60, 3)
    assert rows[:, 20, 90, 0].tolist() == [43, 45, 47, 49]
    assert (rows[:, 20, 30] == 10).all()
    assert (rows[:, 20, 150] == 200).all()


def test_large_frames_are_shown_small():
    sheet = PreviewSheet([0])
    sheet.offer(_done(0, width=1920, height=1080))
    assert sheet.picture().shape == (22 + 256, 3 * 455, 3)


def test_the_jpeg_holds_the_picture():
    sheet = PreviewSheet([0, 1])
    for index in range(2):
        sheet.offer(_done(index))
    decoded = cv2.imdecode(np.frombuffer(sheet.encoded(), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == sheet.picture().shape


def test_a_sheet_without_frames_says_so():
    with pytest.raises(ValueError, match="at least one"):
        PreviewSheet([]).picture()
