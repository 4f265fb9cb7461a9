from __future__ import annotations

import pytest

from forge.reenacting.config import REGIONS, ReenactConfig, StrengthConfig, completed, regions_of
from forge.swapping.config import ColorConfig
from shared.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regions": ()}, "one or more"),
        ({"regions": ("mouth", "mouth")}, "twice"),
        ({"neutral": -1}, "index of a frame"),
        ({"face": "all"}, "main or one number"),
        ({"driver_face": "0,1"}, "main or one number"),
        ({"family": "reenact-latent", "regions": ("brows",)}, "mouth or all"),
        ({"max_pose_gap_degrees": 0.5}, "max_pose_gap_degrees"),
        ({"segments": ((4, 2),)}, "segments"),
        ({"family": "lipsync"}, "not the target's"),
        ({"family": "lipsync", "sound": "none", "regions": ("eyes",)}, "mouth alone"),
        ({"family": "lipsync", "sound": "driver", "offset_seconds": -0.5}, "begin after the clip"),
        ({"sound": "driver", "offset_seconds": -0.5}, "begin after the clip"),
        ({"color": ColorConfig(method="idt")}, "none of a re-enactment"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ReenactConfig(**settings)


def test_a_strength_is_at_most_twice_the_motion():
    with pytest.raises(ConfigError, match=r"strength\.mouth"):
        StrengthConfig(mouth=2.5)


def test_all_stands_for_every_region():
    assert regions_of("mouth, eyes") == ["mouth", "eyes"]
    assert completed({"regions": regions_of("all")})["regions"] == REGIONS
    assert completed({"family": "reenact-landmark", "regions": "all"})["regions"] == ("mouth", "brows", "eyes")


def test_the_target_is_found_as_a_swap_finds_it():
    config = ReenactConfig(face="1", min_face_px=33, segments=((0, 4),))
    finding = config.finding
    assert (finding.face, finding.min_face_px, finding.segments) == ("1", 33, ((0, 4),))


def test_lips_that_are_driven_by_a_sound_have_it_unless_another_is_named():
    assert completed({"family": "lipsync"}) == {"family": "lipsync", "sound": "driver"}
    assert completed({"family": "lipsync", "sound": "none"})["sound"] == "none"
    assert "sound" not in completed({"family": "reenact-affine"})
