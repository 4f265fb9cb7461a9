"""One record and one list of labels for every fake, whichever way it is made."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from forge.swapping.config import BlendConfig, SwapConfig
from forge.swapping.flicker import FlickerMeter
from forge.swapping.masks import FrameMasks
from forge.swapping.plan import SwapPlan
from forge.swapping.record import UNSIGNED, SwapOutcome, fake_record, frame_labels, swap_action
from forge.swapping.request import SwapOverrides, SwapRequest, resolve_request
from forge.swapping.stages import CompositedFrame
from shared.config import digest
from shared.errors import NoFaceError
from shared.faces.align import MEAN_FACE
from shared.storage import sha256_file
from shared.types import ClipId, Face, Frame, Masks, Timestamp

BASE = Fraction(1, 25)
CLIP = ClipId("set", "lightweight", "one")


@pytest.fixture
def request_of(target: Path, swapper: Path, tmp_path: Path):
    def make(config: SwapConfig) -> SwapRequest:
        return resolve_request(
            target, swapper, "ann", config, SwapOverrides(rights="consent", name="one"), rendition="h264-crf18",
            dataset=tmp_path / "set",
        )  # fmt: skip

    return make


def _file() -> dict:
    return {"finder": "dlib", "path": "media/one.mp4", "frames": 5, "size": (112, 96), "codec": "h264"}


def _done(index: int, *, changed: bool, alpha_instead: int = 0) -> CompositedFrame:
    image = np.zeros((4, 4, 3), np.uint8)
    mask = np.full((4, 4), 255 * changed, np.uint8)
    return CompositedFrame(Frame(index, Timestamp(index, BASE), image), image, FrameMasks(mask, mask, mask), (),
                           alpha_instead)  # fmt: skip


def _face(track: int, x: float) -> Face:
    landmarks = (MEAN_FACE * 20 + [x, 4]).astype(np.float32)
    return Face(np.array([x, 4, x + 20, 24], np.float32), landmarks, 1.0, track)


def test_the_outcome_counts_what_passes(capsys):
    outcome = SwapOutcome()
    for index in range(5):
        outcome.take(_done(index, changed=index in (1, 2), alpha_instead=index % 2))
    assert (outcome.faked, outcome.alpha_instead) == ([1, 2], 2)
    assert outcome.factors() == {"poisson_fallbacks": "2"}
    outcome.need_faked(Path("bob.mp4"))
    assert "2 faces were too small" in capsys.readouterr().err
    with pytest.raises(NoFaceError, match=r"changed no pixel of bob\.mp4"):
        SwapOutcome().need_faked(Path("bob.mp4"))


def test_flicker_is_recorded_if_measured_over_three_frames_in_a_row():
    assert SwapOutcome([1], flicker=FlickerMeter()).factors() == {}
    measured = FlickerMeter()
    measured._values.append((3.0, 2.0))
    assert SwapOutcome([1], flicker=measured).factors() == {
        "flicker": "3.000", "flicker_target": "2.000", "flicker_ratio": "1.500",
    }  # fmt: skip


def test_a_record_holds_request_outcome_and_file(request_of, target, config):
    request = request_of(config)
    masks = Masks("a", "c", "r", ("0" * 64, "1" * 64, "2" * 64))
    record = fake_record(
        request, SwapOutcome([1, 2, 4], 3), **_file(), masks=masks, factors={"face": "2", "recipe": "x"}
    )
    assert (record.id, record.kind, record.label) == (CLIP, "swap", "fake")
    assert (record.source_identity, record.target_identity, record.rights) == ("ann", "bob", "consent")
    assert (record.frames, record.width, record.height, record.codec) == (5, 112, 96, "h264")
    assert (record.rendition, record.masks, record.parent) == ("h264-crf18", masks, None)
    assert (record.faked, record.seed, record.config) == (((1, 3), (4, 5)), 0, digest(config))
    assert (record.swapper, record.architecture) == (request.swapper_sha256, "lightweight")
    assert (record.sha256, record.content_sha256) == (UNSIGNED, None)
    assert record.factors == {
        "title": "bob at home",
        "finder": "dlib", "target_sha256": sha256_file(target), "face": "2", "color": "mean-std", "mask": "auto",
        "blend": "alpha", "poisson_fallbacks": "3", "recipe": "x",
    }  # fmt: skip


def test_a_record_names_the_file_that_enlarged(request_of, tmp_path):
    hook = tmp_path / "hook.py"
    hook.write_text("def enlarge(crop):\n    return crop\n")
    record = fake_record(request_of(SwapConfig(blend=BlendConfig(enlarge=f"python:{hook}"))), SwapOutcome(), **_file())
    assert record.factors["enlarge_sha256"] == sha256_file(hook)


def test_the_action_says_who_and_by_which_swapper(request_of, config):
    request = request_of(config)
    action = swap_action(request)
    assert action.name == "c2pa.edited"
    assert action.description == "the face of bob was replaced by the face of ann, drawn by a trained model"
    assert action.parameters == {"manipulation": "lightweight", "swapper": request.swapper_sha256}


def test_only_chosen_faces_of_changed_frames_are_fake_and_frames_without_one_have_a_row():
    faces = {0: (_face(0, 10), _face(1, 40)), 2: (_face(0, 12),)}
    plan = SwapPlan(tuple(Timestamp(2 * index, BASE) for index in range(3)), faces, chosen=(0,))
    labels = frame_labels(CLIP, plan, {0})
    told = [(one.frame, one.pts, one.label, one.track, one.box, one.face_px) for one in labels]
    assert told == [
        (0, 0, "fake", 0, (10.0, 4.0, 30.0, 24.0), 20.0),
        (0, 0, "real", 1, (40.0, 4.0, 60.0, 24.0), 20.0),
        (1, 2, "real", None, None, None),
        (2, 4, "real", 0, (12.0, 4.0, 32.0, 24.0), 20.0),
    ]
    assert labels[2].seconds == pytest.approx(0.08)


def test_boxes_are_scaled_about_the_corner_of_the_picture():
    plan = SwapPlan((Timestamp(0, BASE),), {0: (_face(0, 10),)}, chosen=())
    (label,) = frame_labels(CLIP, plan, (), scale=(0.5, 0.25))
    assert label.box == pytest.approx((4.75, 0.625, 14.75, 5.625))
    assert (label.face_px, label.label) == (10.0, "real")
