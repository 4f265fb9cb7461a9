from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from forge.models.contract import Swap, Swapper, SwapSpec
from forge.models.predictor import SwapPredictor
from forge.quality.measure import Instruments, holdout, measure_swap
from forge.quality.metrics import Person
from shared.device import Device
from shared.errors import MediaError, NoFaceError, UsageError
from shared.faces.align import MEAN_FACE
from shared.faces.boxes import box_around
from shared.types import Face
from shared.video import Encoding
from shared.video.excerpt import ClipRange, Excerpt
from tests.factories import write_clip

WIDTH, HEIGHT, FRAMES, SIDE = 128, 112, 10, 52
BASE = Fraction(1, 25)
BETWEEN_EYES = SIDE * float(np.linalg.norm(MEAN_FACE[45] - MEAN_FACE[36]))


class Bright:
    """Finds the bright blob: a face whose points lie about its centre. None where nothing is bright."""

    name = "bright"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        return [self._faces(frame) for frame in frames]

    def refine(self, image: np.ndarray, boxes: Sequence[np.ndarray]) -> list[Face]:
        lost = [Face(box, np.zeros((68, 2), np.float32), 0.0) for box in boxes]
        return (self._faces(image) or lost)[:1] * len(boxes)

    def describe(self) -> dict[str, str]:
        return {"name": self.name}

    def _faces(self, image: np.ndarray) -> list[Face]:
        rows, columns = np.nonzero(image.min(axis=-1) > 120)
        if len(rows) < 100:
            return []
        centre = np.array([columns.mean(), rows.mean()])
        landmarks = ((MEAN_FACE - MEAN_FACE.mean(0)) * SIDE + centre).astype(np.float32)
        return [Face(box_around(landmarks), landmarks, 1.0)]


class MeanColour:
    """Tells people apart by the colour in the middle of their box."""

    name, dim, threshold = "colour", 3, 0.1

    def chips(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        boxes = [face.box.round().astype(int) for face in faces]
        middles = [
            image[(y0 + y1) // 2 - 6 : (y0 + y1) // 2 + 6, (x0 + x1) // 2 - 6 : (x0 + x1) // 2 + 6]
            for x0, y0, x1, y1 in boxes
        ]
        return np.stack(middles) if middles else np.zeros((0, 12, 12, 3), np.uint8)

    def embed_chips(self, chips: np.ndarray) -> np.ndarray:
        return chips.mean((1, 2)).astype(np.float32) / 255

    def embed(self, image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        return self.embed_chips(self.chips(image, faces))

    def describe(self) -> dict[str, str]:
        return {"name": self.name}


class Copy(Swapper):
    """Gives back what it gets; of "cat", blurred."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = SwapSpec("copy", 64, 64, "full", ("ann", "bob", "cat"), has_mask=False)

    def encode(self, faces: Tensor) -> Tensor:
        return faces

    def decode(self, latent: Tensor, identity: str) -> Swap:
        return Swap(torch.nn.functional.avg_pool2d(latent, 9, 1, 4) if identity == "cat" else latent, None)


Picture = Callable[[int, np.random.Generator], np.ndarray]


def _plain(frame: int, rng: np.random.Generator) -> np.ndarray:
    picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    texture = cv2.GaussianBlur(rng.integers(150, 250, (90, 80, 3)).astype(np.uint8), (0, 0), 1.2)
    blob = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(blob, (60 + frame, 56), (34, 42), 0, 0, 360, 255, -1)
    block = np.full_like(picture, 60)
    block[11:101, 20 + frame : 100 + frame] = texture
    return np.where(blob[..., None] > 0, block, picture).astype(np.uint8)


def _clip(
    path: Path, change: Callable[[np.ndarray, int], np.ndarray] = lambda picture, _frame: picture, frames: int = FRAMES
) -> Path:
    pictures = (change(_plain(frame, np.random.default_rng(8)), frame) for frame in range(frames))
    return write_clip(path, pictures, encoding=Encoding(crf=1, preset="ultrafast", pixel_format="yuv444p"))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _clip(tmp_path_factory.mktemp("q") / "target.mp4")


def test_the_last_fifth():
    assert holdout(100) == (80, 100)
    assert holdout(587) == (470, 587)
    assert holdout(3, 0.01) == (2, 3)
    assert holdout(7, 1.0) == (0, 7)
    for fraction in (0.0, -1.0, 1.5):
        with pytest.raises(UsageError):
            holdout(10, fraction)


def test_a_clip_measured_against_itself_has_the_known_answers(target):
    result = measure_swap(target, target, Instruments(Bright()))
    assert (result.frames_with_face, result.frames_found) == (FRAMES, FRAMES)
    assert result.landmark_distance.median == 0
    assert result.landmark_distance.n == FRAMES
    assert result.sharpness_ratio.median == pytest.approx(1.0)
    assert result.flicker_ratio == pytest.approx(1.0)
    assert result.flicker.n == FRAMES - 2
    assert result.same_frames
    assert result.same_times
    assert result.same_sound
    assert result.identity_to_source is result.self_ssim is result.seam_ratio is None


def test_a_face_three_pixels_off_is_three_over_the_eye_distance(target, tmp_path):
    fake = _clip(tmp_path / "fake.mp4", lambda picture, _frame: np.roll(picture, 3, axis=1))
    result = measure_swap(fake, target, Instruments(Bright()))
    assert result.landmark_distance.median == pytest.approx(3 / BETWEEN_EYES, rel=0.05)


def test_a_blurred_face_is_less_sharp_and_a_trembling_light_flickers(target, tmp_path):
    blurred = _clip(tmp_path / "blurred.mp4", lambda picture, _frame: cv2.GaussianBlur(picture, (0, 0), 1.5))
    trembling = _clip(tmp_path / "trembling.mp4", lambda picture, frame: picture - np.uint8(12 * (frame % 2)))
    assert measure_swap(blurred, target, Instruments(Bright())).sharpness_ratio.median < 0.4
    flickering = measure_swap(trembling, target, Instruments(Bright()))
    assert flickering.flicker.median == pytest.approx(12, abs=2)
    assert flickering.flicker_ratio > 2


def test_identity_is_that_of_the_nearer_person(target, tmp_path):
    def redden(picture: np.ndarray, frame: int) -> np.ndarray:
        return picture - np.array([0, 70, 70], np.uint8) * (picture > 120) if frame < 8 else picture

    fake = _clip(tmp_path / "fake.mp4", redden)
    embedder = MeanColour()
    red, grey = Person("red", np.array([0.78, 0.51, 0.51])), Person("grey", np.array([0.78, 0.78, 0.78]))
    finder = Bright()
    finder._faces = lambda image: Bright._faces(finder, np.repeat(image[..., :1], 3, axis=2))  # type: ignore[method-assign]
    result = measure_swap(fake, target, Instruments(finder, embedder, (red, grey)))
    assert result.nearer_to_source == pytest.approx(0.8)
    assert result.identity_to_source.median < 0.05 < result.identity_to_target.median
    assert result.identity_to_source.n == FRAMES


def test_self_reconstruction_needs_the_swapper_and_knows_a_copy_from_a_blur(target):
    predictor = SwapPredictor(Copy(), Device(torch.device("cpu"), None))
    copied = measure_swap(target, target, Instruments(Bright(), predictor=predictor, target_identity="bob"))
    blurred = measure_swap(target, target, Instruments(Bright(), predictor=predictor, target_identity="cat"))
    assert copied.self_ssim.median == pytest.approx(1.0, abs=1e-4)
    assert copied.self_ssim_face.median == pytest.approx(1.0, abs=1e-4)
    assert blurred.self_ssim_face.median < 0.7
    assert (copied.px, copied.framing, copied.self_ssim.n) == (64, "full", FRAMES)


def test_only_the_frames_asked_for_are_measured(target, tmp_path):
    late = _clip(tmp_path / "late.mp4", lambda picture, frame: np.roll(picture, 3, 1) if frame >= 8 else picture)
    last = measure_swap(late, target, Instruments(Bright()), frames=holdout(FRAMES))
    assert (last.start, last.stop, last.landmark_distance.n) == (8, 10, 2)
    assert last.landmark_distance.median == pytest.approx(3 / BETWEEN_EYES, rel=0.05)
    assert measure_swap(late, target, Instruments(Bright()), frames=(0, 8)).landmark_distance.median == 0
    with pytest.raises(MediaError, match="10 frames"):
        measure_swap(late, target, Instruments(Bright()), frames=(5, 11))


def test_a_fake_of_a_part_of_its_target_is_measured_against_that_part(target, tmp_path):
    part = Excerpt.of(target, ClipRange.parse("4-8"))
    pictures = (_plain(frame, np.random.default_rng(8)) for frame in range(4, 8))
    encoding = Encoding(crf=1, preset="ultrafast", pixel_format="yuv444p")
    fake = write_clip(tmp_path / "part.mp4", pictures, encoding=encoding)
    result = measure_swap(fake, target, Instruments(Bright()), excerpt=part)
    assert (result.start, result.stop, result.frames_found) == (4, 8, 4)
    assert result.landmark_distance.median == pytest.approx(0, abs=0.01)
    assert (result.same_frames, result.same_times, result.same_sound) == (True, True, True)
    assert measure_swap(fake, target, Instruments(Bright()), frames=(0, 4)).landmark_distance.median > 0.05
    with pytest.raises(MediaError, match="not 0 to 4"):
        measure_swap(fake, target, Instruments(Bright()), frames=(0, 4), excerpt=part)


def test_frames_in_which_the_face_is_not_found_again_are_counted_not_invented(target, tmp_path):
    fake = _clip(tmp_path / "fake.mp4", lambda picture, frame: picture // 4 if frame in (2, 3) else picture)
    result = measure_swap(fake, target, Instruments(Bright()))
    assert (result.frames_with_face, result.frames_found, result.landmark_distance.n) == (10, 8, 8)


def test_a_shorter_clip_is_said_to_differ(target, tmp_path):
    result = measure_swap(_clip(tmp_path / "short.mp4", frames=7), target, Instruments(Bright()))
    assert not result.same_frames
    assert not result.same_times
    assert result.frames_found == 7


def _oval(path: Path, frames: int = FRAMES) -> Path:
    """An alpha mask video: all over the blob, fading at its edge."""
    lossless = Encoding(crf=0, preset="ultrafast", pixel_format="gray")
    return write_clip(path, map(_mask_of, range(frames)), encoding=lossless)


def _mask_of(frame: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.ellipse(mask, (60 + frame, 56), (24, 32), 0, 0, 360, 1.0, -1)
    return np.round(cv2.GaussianBlur(mask, (0, 0), 1.5) * 255).astype(np.uint8)


def test_a_clip_swapped_with_itself_has_the_known_answers_of_every_measure(target, tmp_path):
    result = measure_swap(target, target, Instruments(Bright()), alpha=_oval(tmp_path / "alpha.mkv"))
    assert result.pose_error.median == result.expression_error.median == result.color_step.median == 0
    assert result.mask_ssim.median == result.ssim_outside.median == pytest.approx(1)
    assert result.seam_ratio.median == pytest.approx(1)
    assert result.flicker_compensated_ratio == pytest.approx(1)
    assert result.flicker_compensated.n == FRAMES - 2
    assert result.mask_ssim.n == result.pose_error.n == result.color_step.n == FRAMES
    assert result.blink_correlation is None, "the blob never blinks"
    assert result.top1 is result.embedder is result.features_outside is None


def test_a_hue_step_shows_at_the_border_and_nothing_outside(target, tmp_path):
    def redder(picture: np.ndarray, frame: int) -> np.ndarray:
        return np.where(_mask_of(frame)[..., None] > 127, picture - np.array([0, 30, 30], np.uint8), picture)

    fake = _clip(tmp_path / "fake.mp4", redder)
    result = measure_swap(fake, target, Instruments(Bright()), alpha=_oval(tmp_path / "alpha.mkv"))
    assert result.color_step.median > 8
    assert result.ssim_outside.median > 0.98
    assert result.mask_ssim.median < 0.99


class Talking(Bright):
    """Points whose mouth and lids move with the frame, as the brightness of the top left corner says."""

    def _faces(self, image: np.ndarray) -> list[Face]:
        faces = super()._faces(image)
        opened = float(image[:8, :8].mean()) / 255
        for face in faces:
            face.landmarks[[65, 66, 67], 1] += 10 * opened
            face.landmarks[[40, 41, 46, 47], 1] += 3 * opened
        return faces


def _spoken(swing: float) -> Callable[[np.ndarray, int], np.ndarray]:
    def change(picture: np.ndarray, frame: int) -> np.ndarray:
        picture = picture.copy()
        picture[:16, :16] = round(60 + swing * np.sin(frame))
        return picture

    return change


def test_a_frozen_mouth_does_not_follow_and_a_weaker_one_does(tmp_path):
    talks = _clip(tmp_path / "talks.mp4", _spoken(55))
    mumbles, frozen = _clip(tmp_path / "mumbles.mp4", _spoken(25)), _clip(tmp_path / "frozen.mp4", _spoken(0))
    same = measure_swap(talks, talks, Instruments(Talking()))
    assert same.mouth_correlation == pytest.approx(1)
    assert same.blink_correlation == pytest.approx(1)
    assert same.mouth_swing > 0.05
    assert same.mouth_swing_ratio == pytest.approx(1)
    weaker = measure_swap(mumbles, talks, Instruments(Talking()))
    assert weaker.mouth_correlation > 0.95
    assert weaker.mouth_swing_ratio == pytest.approx(25 / 55, abs=0.05)
    still = measure_swap(frozen, talks, Instruments(Talking()))
    assert abs(still.mouth_correlation) < 0.3
    assert still.expression_error.median > 5 * same.expression_error.median


def test_retrieval_is_among_all_the_cast(target):
    embedder = MeanColour()
    own = np.array([0.78, 0.78, 0.78])
    source, other = Person("source", own + 0.1), Person("other", own + np.array([0.3, 0, 0]))
    stranger = Person("stranger", own)
    alone = measure_swap(target, target, Instruments(Bright(), embedder, (source, other)))
    crowd = measure_swap(target, target, Instruments(Bright(), embedder, (source, other), cast={"stranger": stranger}))
    assert (alone.top1, alone.cast, alone.nearer_to_source) == (1.0, 2, 1.0)
    assert (crowd.top1, crowd.cast, crowd.nearer_to_source) == (0.0, 3, 1.0)
    assert (crowd.source_identity, crowd.target_identity, crowd.embedder) == ("source", "other", "colour")
    assert crowd.cosine_to_source.median > crowd.cosine_to_target.median


def test_a_target_without_a_face_is_refused(target, tmp_path):
    dark = _clip(tmp_path / "dark.mp4", lambda picture, _frame: picture // 4)
    with pytest.raises(NoFaceError, match="dark"):
        measure_swap(target, dark, Instruments(Bright()))
