"""Parts of a plan that stand by themselves: the cost of an encode, plain values for keys, names that differ."""

from __future__ import annotations

from collections.abc import Sequence

from forge.building.spec import ManipulationConfig
from shared.config import need, to_mapping
from shared.errors import UsageError
from shared.types import ClipId
from shared.video.renditions import Rendition

_CODEC_WEIGHT = {"libx265": 4.0, "libvpx-vp9": 5.0, "libsvtav1": 3.0, "mjpeg": 0.3, "ffv1": 0.7}


def encode_units(rendition: Rendition | None, megapixels: float) -> float:
    """The cost of an encode, in megapixels of x264 at its medium preset (weights measured on two cores)."""
    if rendition is None:
        return 0.1 * megapixels
    return sum(_CODEC_WEIGHT.get(step.encoding.codec, 1.0) * megapixels for step in (*rendition.through, rendition))


def plain(part: object) -> object:
    """``part`` as values that JSON knows, for a key."""
    if part is None or isinstance(part, str | int | float):
        return "" if part is None else part
    if isinstance(part, list | tuple):
        return [plain(one) for one in part]
    return to_mapping(part)


def refuse_duplicate_names(clips: Sequence[ClipId]) -> None:
    """Refuses two clips of one name.

    Raises:
        UsageError: there are two.
    """
    seen: set[str] = set()
    for clip in clips:
        # Paths are compared without case, for case-insensitive file systems.
        text = str(clip).lower()
        if text in seen:
            raise UsageError(f"two clips would be called {clip}", hint="give identities names that differ")
        seen.add(text)


def chosen_exports(
    manipulation: ManipulationConfig, exports: dict[int, tuple[str, str, str | None]]
) -> dict[int, tuple[str, str, str | None]]:
    """The exports of a swapper that a manipulation uses."""
    wanted = manipulation.steps
    found = {step: one for step, one in exports.items() if not wanted or step in wanted}
    need(bool(found), f"{manipulation.name}: no export after steps {wanted}", f"one of {list(exports)}")
    return found
