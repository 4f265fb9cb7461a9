from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from detect.config.validation import ValidationConfig
from detect.data.grades import (
    SELF_BLEND,
    TWIN,
    GradedFace,
    blended,
    choose_faces,
    graded,
    make_grades,
    unused_pastes,
)
from detect.data.real_faces import people_of, refuse_trained
from detect.models import DetectorSpec
from shared.errors import ConfigError, FacesetError, LeakError
from shared.faces.align import mean_in_crop
from shared.faces.facesets.reader import Faceset
from shared.faces.pastes.presets import presets
from tests.factories import face_row, write_faceset

PX = 96
PASTES = ("ellipse", "hull-mean")
SPEC = DetectorSpec(name="net", family="frame", input_px=PX, framing="whole", mean=(0.5,) * 3, std=(0.5,) * 3)


def a_face(seed: int, *, person: str = "", twin: bool = False, frames: int = 1) -> GradedFace:
    """A face of smooth noise; its twin is darker."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (frames, 12, 12, 3)).astype(np.uint8)
    crops = coarse.repeat(8, 1).repeat(8, 2)
    landmarks = np.repeat(mean_in_crop(PX, "whole").astype(np.float32)[None], frames, 0)
    return GradedFace(person or str(seed), crops, landmarks, crops // 2 if twin else None)


@pytest.mark.parametrize("kind", [SELF_BLEND, TWIN])
def test_a_pair_differs_only_inside_its_mask(kind: str):
    for number in range(6):
        pair = blended(a_face(number, twin=True), kind, number, 1.0, PASTES)[0]
        assert (pair.fake != pair.real).any()
        assert (pair.fake[pair.mask == 0] == pair.real[pair.mask == 0]).all()
        assert (pair.mask == 0).mean() > 0.2


def test_strengths_share_everything_but_the_opacity():
    face = a_face(3, twin=True)
    whole, half, tenth = (blended(face, TWIN, 5, strength, PASTES)[0] for strength in (1.0, 0.5, 0.1))
    np.testing.assert_array_equal(whole.real, half.real)
    np.testing.assert_allclose(half.mask, whole.mask / 2, atol=1e-6)
    changes = [np.abs(pair.fake.astype(int) - pair.real).mean() for pair in (whole, half, tenth)]
    assert changes[1] == pytest.approx(changes[0] / 2, rel=0.1)
    assert changes[2] == pytest.approx(changes[0] / 10, rel=0.3)


def test_every_second_face_stays_clean_and_the_others_are_compressed_alike():
    """A blend of nothing is the real face, also where both were compressed."""
    for number, compressed in enumerate((False, True, False, True)):
        face = a_face(9)
        real, fake = graded(face, SELF_BLEND, number, (1e-6,), PASTES)
        np.testing.assert_array_equal(real, fake)
        plain = blended(face, SELF_BLEND, number, 1e-6, PASTES)[0].real
        assert (real[0] != plain).any() == compressed


def test_grades_are_made_the_same_again_by_any_number_of_threads():
    faces = [a_face(seed, person="ann" if seed < 2 else "", twin=seed == 1) for seed in range(5)]
    config = ValidationConfig(strengths=(1.0, 0.25))
    one, again = (make_grades(faces, config, pastes=PASTES, workers=workers) for workers in (1, 3))
    assert [grades.kind for grades in one] == [SELF_BLEND, TWIN]
    blends, twins = one
    assert (blends.reals.shape, twins.reals.shape) == ((5, PX, PX, 3), (1, PX, PX, 3))
    assert blends.people.tolist()[0] == blends.people.tolist()[1]
    assert len(set(blends.people.tolist())) == 4
    assert (blends.images, twins.images) == (15, 3)
    for mine, other in zip(one, again, strict=True):
        np.testing.assert_array_equal(mine.reals, other.reals)
        for strength in (1.0, 0.25):
            np.testing.assert_array_equal(mine.fakes[strength], other.fakes[strength])
    assert make_grades([], config, pastes=PASTES) == ()


def test_sequences_stay_sequences():
    config = ValidationConfig(strengths=(0.5,))
    (blends,) = make_grades([a_face(seed, frames=3) for seed in range(2)], config, pastes=PASTES)
    assert blends.reals.shape == blends.fakes[0.5].shape == (2, 3, PX, PX, 3)
    assert blends.images == 12


def test_pastes_are_those_that_training_does_not_use():
    config = ValidationConfig()
    assert unused_pastes(config, ()) == tuple(presets())
    left = unused_pastes(config, ("box", "ellipse:reactor"))
    assert set(left) == set(presets()) - {"box", "ellipse"}
    assert unused_pastes(config, tuple(presets())) == tuple(presets())
    assert unused_pastes(dataclasses.replace(config, pastes=("box",)), ("box",)) == ("box",)


def photographs(path: Path, count: int, *, drawn_by: str = "", first: int = 0, frames: int = 1) -> Path:
    """``count`` photographs, a person each; with ``frames`` so many faces of each clip."""
    points = mean_in_crop(PX, "whole").astype(np.float32)
    faces = []
    for number in range(count * frames):
        crop = np.full((PX, PX, 3), 100 + number, np.uint8)
        row = face_row(points, clip=number // frames, track=number // frames, frame=number % frames,
                       box=np.array([8, 8, 80, 80], np.float32))  # fmt: skip
        faces.append((row, crop))
    return write_faceset(path, "crowd", faces, clips=range(first, first + count), drawn_by=drawn_by)


def test_photographs_show_a_person_each_and_clips_one_in_all(tmp_path: Path):
    many = Faceset.open(photographs(tmp_path / "many", 4))
    assert len(set(people_of(many, range(4)).values())) == 4
    filmed = Faceset.open(photographs(tmp_path / "filmed", 2, frames=3))
    assert set(people_of(filmed, range(6)).values()) == {"crowd"}


def test_faces_are_spread_over_people_and_come_with_their_twins(tmp_path: Path):
    real, twins = photographs(tmp_path / "real", 6), photographs(tmp_path / "twins", 4, drawn_by="compact as crowd 0")
    config = ValidationConfig(faces=3, real_faces=(str(real),))
    faces = choose_faces([], config, SPEC)
    assert len({face.person for face in faces}) == 3
    assert [face.person for face in choose_faces([], config, SPEC)] == [face.person for face in faces]
    assert all(face.twins is None for face in faces)
    with_twins = choose_faces([], dataclasses.replace(config, faces=9, twin_faces=(str(twins),)), SPEC)
    assert len(with_twins) == 4  # those without a twin are left out
    assert all(face.twins is not None and face.twins.shape == (1, PX, PX, 3) for face in with_twins)
    clip = dataclasses.replace(SPEC, level="clip", frames_per_clip=4)
    sequence = choose_faces([], config, clip)[0]
    assert (sequence.crops.shape, sequence.landmarks.shape) == ((4, PX, PX, 3), (4, 68, 2))


def test_real_and_generated_are_not_taken_for_each_other(tmp_path: Path):
    real, twins = photographs(tmp_path / "real", 2), photographs(tmp_path / "twins", 2, drawn_by="compact as crowd 0")
    with pytest.raises(FacesetError, match="was generated by compact"):
        choose_faces([], ValidationConfig(real_faces=(str(twins),)), SPEC)
    with pytest.raises(FacesetError, match="holds no generated faces"):
        choose_faces([], ValidationConfig(real_faces=(str(real),), twin_faces=(str(real),)), SPEC)


def test_faces_that_are_learned_from_are_refused(tmp_path: Path):
    learned, mine = photographs(tmp_path / "learned", 4), photographs(tmp_path / "mine", 4, first=2)
    with pytest.raises(LeakError, match="people or files of the real faces that are learned from"):
        refuse_trained([mine], [learned], allowed=False)
    refuse_trained([mine], [learned], allowed=True)
    refuse_trained([photographs(tmp_path / "new", 4, first=9)], [learned], allowed=False)


@pytest.mark.parametrize(
    "change",
    [{"faces": 0}, {"strengths": (0.0,)}, {"strengths": ()}, {"strengths": (1.0, 1.0)}, {"twin_faces": ("twins",)}],
)
def test_bad_settings_are_refused(change: dict):
    with pytest.raises(ConfigError):
        ValidationConfig(**change)


def test_too_much_memory_is_refused_before_it_is_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("detect.data.grades._MOST_BYTES", 1 << 20)
    with pytest.raises(ConfigError, match=r"grades of 40 faces need 5 MiB"):
        make_grades([a_face(seed) for seed in range(40)], ValidationConfig(), pastes=PASTES)
