"""Fakes made of a still: a photograph, or a picture that is a fake itself, held for the length of a clip.

No frame of such a clip is real video, also where every pixel is the still's: every frame is labelled fake, and the
masks alone say which pixels differ from the still.
"""

from __future__ import annotations

from shared.types import ClipRecord

TARGET_STILL = "target_still"
"""Factor of a fake made of a still: :data:`PHOTOGRAPH`, or the kind of a still that is a fake itself."""

PHOTOGRAPH = "photograph"


def is_held(record: ClipRecord) -> bool:
    """Whether the clip was made of a still, so that frames without a changed pixel are fake too."""
    return TARGET_STILL in record.factors


def has_unknown_region(record: ClipRecord) -> bool:
    """Whether the still was a fake itself: pixels that the masks leave out may be forged too."""
    return record.factors.get(TARGET_STILL, PHOTOGRAPH) != PHOTOGRAPH
