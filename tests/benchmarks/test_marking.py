"""The benchmark of marks: its shares, its choice of cases, and what its experiments are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.marking import Survival, _wanted, share
from benchmarks.marking_detectors import CONDITIONS, _Pictures, _weak_fake, detectors
from benchmarks.marking_parts import measurements
from benchmarks.marking_redraw import Redrawer, redrawn
from shared.errors import UsageError


def test_a_share_has_its_wilson_interval():
    # By hand for 29 of 29 with z = 1.96: lower limit n / (n + z^2) = 29 / 32.8416.
    one = share("read", 29, 29)
    assert one.low == pytest.approx(0.883, abs=1e-4)
    assert one.high == 1.0


def test_bits_are_told_of_the_clips_that_were_read():
    table = Survival()
    table.add("crf 35", True, 0.9, target=0.95)
    table.add("crf 35", False)
    (one,) = table.measurements()
    assert (one.median, one.target) == (0.5, 0.95)
    assert one.note == "1 of 2; bits right before correction 0.900"


def test_cases_are_chosen_by_any_of_the_words():
    assert _wanted("H.264 crf 35", ())
    assert _wanted("H.264 crf 35", ("resize", "crf 35"))
    assert not _wanted("H.264 crf 28", ("resize", "crf 35"))


def test_an_unknown_part_is_refused_and_parts_without_media_measure_nothing():
    how = {"most": 1, "pictures": 1, "people": 24, "minutes": 1.0, "repeats": 1}
    with pytest.raises(UsageError, match="no part 'colour'"):
        measurements("colour", None, **how)
    assert detectors(None, most=24, repeats=1) == []
    assert redrawn(None, most=1, minutes=1, side_px=64) == []


def test_a_weak_fake_is_softer_on_the_face_alone():
    real = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    change = np.abs(_weak_fake(real).astype(int) - real).max(axis=2)
    assert change[100:156, 100:156].mean() > 20
    assert not change[:30].any()
    assert not change[:, :30].any()


def test_each_condition_marks_the_classes_that_it_names():
    plain = torch.zeros(8, 3, 2, 2)
    pictures = _Pictures(plain, plain + 1)
    for name, marked in (
        ("neither class marked", (0, 0)),
        ("both classes marked", (1, 1)),
        ("only fakes marked", (0, 1)),
    ):
        real, fake = CONDITIONS[name]
        faces, wanted = pictures.of(slice(1, 3), real=real, fake=fake)
        assert faces.shape == (4, 3, 2, 2)
        assert wanted.tolist() == [False, True, False, True]
        assert (faces[0].max(), faces[1].max()) == marked, name
    assert not plain.any()


def test_the_redrawer_keeps_the_size_and_a_twelfth_of_the_numbers():
    picture = torch.rand(1, 3, 64, 48)
    model = Redrawer()
    assert model(picture).shape == picture.shape
    assert model.encoder(picture - 0.5).numel() * 12 == picture.numel()
