"""Values of quality measurements. Imports no torch.

Frame values of a clip are summarised in a :class:`~forge.image_metrics.Spread`; those of many clips as means with
intervals, see :mod:`forge.quality.summary`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.results.scores import Level

if TYPE_CHECKING:
    from forge.image_metrics import Spread


@dataclass(frozen=True)
class SwapQuality:
    """The quality of one fake; a value is None if its input was not given, or no frame could be measured.

    Attributes:
        clip, target: names of the files; start, stop: the frames that were measured, half-open.
        px, framing: of the crops compared.
        frames_with_face: frames of the range with the face in the target; frames_found: those of them in which it was
            found again in the fake.
        same_frames, same_times, same_sound: whether the whole clips agree in these.
        source_identity, target_identity: the two people; cast: how many people were compared with.
        embedder: the embedder of identity metrics; embedder_in_loss: whether the swapper was trained with it, which
            makes these metrics invalid; None if unknown.
        landmark_distance: mean distance of 68 points from the target's, over that of the outer eye corners.
        expression_error: of brows, lids and mouth after pose and scale were taken out, over the same length.
        pose_error: angle between the heads, degrees.
        blink_correlation, mouth_correlation: Pearson's r of eye and mouth openness over time with the target's;
            blink_swing, mouth_swing: the target's own standard deviation of them; blink_swing_ratio,
            mouth_swing_ratio: the fake's over it.
        sharpness_ratio: variance of the Laplacian inside the face, over that of the target.
        identity_to_source, identity_to_target: Euclidean distance of embeddings to the mean of each person;
            cosine_to_source, cosine_to_target: cosine similarity to it.
        nearer_to_source: share of frames whose face is nearer to the source person than to the target person;
            top1: share whose nearest person of all the cast is the source.
        self_ssim, self_ssim_face: similarity (11x11, sigma 1.5) of the target person's own reconstruction at the
            swapper's output size, over the whole crop and inside the face.
        mask_ssim: similarity of the head region, Celeb-DF's Mask-SSIM.
        ssim_outside, features_outside, lpips_outside: similarity, and distances of network features, where the paste
            did not reach; LPIPS only where its weights are on the machine.
        seam_ratio: steepness in the mask's fading band, over that of the target there; 1 shows no seam.
        color_step: colour just inside the border against just outside, beyond the target's own, CIE76.
        flicker, flicker_target: distance from the mean of the neighbours in time, grey levels, inside the face;
            flicker_ratio: of their medians.
        flicker_compensated, its target's and its ratio: the same after the target's optical flow was taken out.
    """

    clip: str
    target: str
    start: int
    stop: int
    px: int
    framing: str
    frames_with_face: int
    frames_found: int
    same_frames: bool
    same_times: bool
    same_sound: bool
    source_identity: str | None = None
    target_identity: str | None = None
    cast: int = 0
    embedder: str | None = None
    embedder_in_loss: bool | None = None
    landmark_distance: Spread | None = None
    expression_error: Spread | None = None
    pose_error: Spread | None = None
    blink_correlation: float | None = None
    mouth_correlation: float | None = None
    blink_swing: float | None = None
    mouth_swing: float | None = None
    blink_swing_ratio: float | None = None
    mouth_swing_ratio: float | None = None
    sharpness_ratio: Spread | None = None
    identity_to_source: Spread | None = None
    identity_to_target: Spread | None = None
    cosine_to_source: Spread | None = None
    cosine_to_target: Spread | None = None
    nearer_to_source: float | None = None
    top1: float | None = None
    self_ssim: Spread | None = None
    self_ssim_face: Spread | None = None
    mask_ssim: Spread | None = None
    ssim_outside: Spread | None = None
    features_outside: Spread | None = None
    lpips_outside: Spread | None = None
    seam_ratio: Spread | None = None
    color_step: Spread | None = None
    flicker: Spread | None = None
    flicker_target: Spread | None = None
    flicker_ratio: float | None = None
    flicker_compensated: Spread | None = None
    flicker_compensated_target: Spread | None = None
    flicker_compensated_ratio: float | None = None


@dataclass(frozen=True)
class Measure:
    """One measure: its name in :class:`SwapQuality`, its unit, of what it is a value, and where good lies."""

    name: str
    unit: str
    better: str
    level: Level = "frame"


SPREAD_MEASURES: tuple[Measure, ...] = (
    Measure("identity_to_source", "distance", "lower"),
    Measure("identity_to_target", "distance", "higher"),
    Measure("cosine_to_source", "cosine", "higher"),
    Measure("cosine_to_target", "cosine", "lower"),
    Measure("landmark_distance", "eye distances", "lower"),
    Measure("expression_error", "eye distances", "lower"),
    Measure("pose_error", "degrees", "lower"),
    Measure("sharpness_ratio", "x target", "nearer to 1"),
    Measure("self_ssim", "SSIM", "higher"),
    Measure("self_ssim_face", "SSIM", "higher"),
    Measure("mask_ssim", "SSIM", "higher"),
    Measure("ssim_outside", "SSIM", "higher"),
    Measure("features_outside", "distance", "lower"),
    Measure("lpips_outside", "LPIPS", "lower"),
    Measure("seam_ratio", "x target", "nearer to 1"),
    Measure("color_step", "CIE76", "lower"),
    Measure("flicker", "grey levels", "lower"),
    Measure("flicker_target", "grey levels", "the target's own"),
    Measure("flicker_compensated", "grey levels", "lower"),
    Measure("flicker_compensated_target", "grey levels", "the target's own"),
)
"""Metrics of single frames."""

SHARE_MEASURES: tuple[Measure, ...] = (
    Measure("nearer_to_source", "share", "higher"),
    Measure("top1", "share", "higher"),
)
"""Shares of the frames with an embedding."""

CLIP_MEASURES: tuple[Measure, ...] = (
    Measure("blink_correlation", "Pearson r", "higher", "clip"),
    Measure("mouth_correlation", "Pearson r", "higher", "clip"),
    Measure("blink_swing_ratio", "x target", "nearer to 1", "clip"),
    Measure("mouth_swing_ratio", "x target", "nearer to 1", "clip"),
    Measure("flicker_ratio", "x target", "lower", "clip"),
    Measure("flicker_compensated_ratio", "x target", "lower", "clip"),
)
"""Metrics with one value per clip."""

FRAMES_FOUND = Measure("frames_found", "share", "higher")
"""Share of the frames with a face in the target in which it was found in the fake."""

SPREADS: tuple[str, ...] = tuple(measure.name for measure in SPREAD_MEASURES)
_MEASURES = (*SPREAD_MEASURES, *SHARE_MEASURES, *CLIP_MEASURES, FRAMES_FOUND)
UNITS: dict[str, str] = {each.name: each.unit for each in _MEASURES}
BETTER: dict[str, str] = {each.name: each.better for each in _MEASURES}


@dataclass(frozen=True)
class Failure:
    """A fake that could not be measured, and the reason."""

    clip: str
    reason: str
