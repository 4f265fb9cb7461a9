"""Losses of detector training. Pure functions on float32 batches."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from detect.models.contract import Detection

_DICE_FLOOR = 1.0


def detection_loss(
    found: Detection, wanted: Tensor, masks: Tensor | None, *, smoothing: float = 0.0, mask_weight: float = 1.0
) -> Tensor:
    """Cross-entropy of the class plus, for detectors with a mask output, ``mask_weight`` times :func:`region_loss`.

    Args:
        found: the detector's output for B faces.
        wanted: (B,) in [0, 1], 1 for fake.
        masks: (B, 1, M, M) in [0, 1], all NaN for a face whose region is unknown.
        smoothing: label smoothing towards 0.5.
        mask_weight: weight of the region loss.
    """
    smooth = wanted * (1 - smoothing) + smoothing / 2
    loss = F.binary_cross_entropy_with_logits(found.logit.float(), smooth)
    if found.mask is None or masks is None or not mask_weight:
        return loss
    return loss + mask_weight * region_loss(found.mask.float(), masks)


def region_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy of every pixel plus the Dice loss of the faces with a forged pixel; 0 if no region is known.

    Milletari et al., "V-Net", 2016, eq. 3 for Dice (with 1 - D). The masks are averaged down to the size of ``logits``
    (B, 1, h, w).
    """
    known = ~torch.isnan(masks).flatten(1).any(1)
    if not bool(known.any()):
        return logits.sum() * 0.0
    logits = logits[known]
    wanted = F.adaptive_avg_pool2d(masks[known], (logits.shape[-2], logits.shape[-1]))
    pixels = F.binary_cross_entropy_with_logits(logits, wanted)
    predicted = logits.sigmoid().flatten(1)
    flat = wanted.flatten(1)
    overlap = (2 * (predicted * flat).sum(1) + _DICE_FLOOR) / ((predicted**2).sum(1) + (flat**2).sum(1) + _DICE_FLOOR)
    forged = flat.amax(1) > 0.5
    dice = ((1 - overlap) * forged).sum() / forged.sum().clamp_min(1)
    return pixels + dice


def pair_loss(logits: Tensor, one_face: Tensor, *, margin: float = 0.0) -> Tensor:
    """softplus(``margin`` - (fake - real)) of the pairs of one face, summed and divided by the number of all pairs.

    The logistic loss of a pair's order (Burges et al., "Learning to rank using gradient descent", ICML 2005): what the
    two faces share, such as the person, cancels. Divided by all pairs, it has equal means over parts and whole of a
    batch.

    Args:
        logits: (2 P,) of P pairs, each fake before its real face.
        one_face: (P,) bool, whether a pair is of one face; others count as 0.
        margin: difference of logits at which a pair costs log 2.
    """
    difference = logits[0::2] - logits[1::2]
    return (F.softplus(margin - difference) * one_face.to(difference.dtype)).mean()


def spread_loss(logits: Tensor, centre: float) -> Tensor:
    """Mean squared distance of (N,) logits of real faces to ``centre``: their variance where that is their mean.

    As deviations from a mean sum to 0, the gradient is that of the variance although ``centre`` is a constant. So the
    parts of a batch, with the mean of the whole one, have together the gradient of the whole one.
    """
    return (logits - centre).square().mean()


def mixed_up(
    x: Tensor, wanted: Tensor, masks: Tensor | None, mixing: tuple[float, int]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """A batch blended with itself, shifted (Zhang et al., "mixup", 2018): ``mixing`` is (share, shift)."""
    share, shift = mixing
    blended = share * x + (1 - share) * x.roll(shift, 0)
    labels = share * wanted + (1 - share) * wanted.roll(shift, 0)
    regions = None if masks is None else share * masks + (1 - share) * masks.roll(shift, 0)
    return blended, labels, regions
