from __future__ import annotations

import math

import pytest
import torch

from detect.models.contract import Detection
from detect.training.losses import detection_loss, mixed_up, region_loss


def test_class_alone_by_hand():
    found = Detection(torch.tensor([0.0, 2.0]), None)
    wanted = torch.tensor([1.0, 0.0])
    by_hand = (math.log(2) + math.log1p(math.exp(2))) / 2
    assert detection_loss(found, wanted, None).item() == pytest.approx(by_hand, rel=1e-5)
    smooth = (math.log(2) + 0.9 * math.log1p(math.exp(2)) + 0.1 * math.log1p(math.exp(-2))) / 2
    assert detection_loss(found, wanted, None, smoothing=0.2).item() == pytest.approx(smooth, rel=1e-5)


def test_region_by_hand():
    """Two pixels known to be forged and drawn with chance one half: log 2, and Dice of 2 p m / (p² + m²) + floor."""
    logits = torch.zeros(1, 1, 1, 2)
    masks = torch.ones(1, 1, 1, 2)
    dice = 1 - (2 * (0.5 + 0.5) + 1) / (0.25 * 2 + 2 + 1)
    assert region_loss(logits, masks).item() == pytest.approx(math.log(2) + dice, rel=1e-5)


def test_a_perfect_region_costs_nothing():
    masks = torch.zeros(2, 1, 4, 4)
    masks[0, :, 1:3, 1:3] = 1
    assert region_loss(40 * (masks - 0.5), masks).item() == pytest.approx(0.0, abs=1e-5)


def test_masks_are_averaged_down_and_unknown_ones_left_out():
    masks = torch.zeros(2, 1, 4, 4)
    masks[0, :, :2, :2] = 1
    masks[1] = math.nan
    logits = torch.full((2, 1, 2, 2), -20.0)
    logits[0, 0, 0, 0] = 20.0
    logits[1] = 5.0
    assert region_loss(logits, masks).item() == pytest.approx(0.0, abs=1e-4)
    assert region_loss(logits[1:], masks[1:]).item() == 0.0


def test_the_region_counts_as_much_as_asked():
    logit, region = torch.zeros(1), torch.zeros(1, 1, 1, 1)
    wanted, masks = torch.ones(1), torch.ones(1, 1, 2, 2)
    alone = detection_loss(Detection(logit, region), wanted, None)
    both = detection_loss(Detection(logit, region), wanted, masks, mask_weight=0.5)
    assert (both - alone).item() == pytest.approx(0.5 * region_loss(region, masks).item(), rel=1e-5)
    assert detection_loss(Detection(logit, region), wanted, masks, mask_weight=0.0).item() == alone.item()


def test_mixup_by_hand():
    x, wanted = torch.tensor([[1.0], [3.0]]), torch.tensor([1.0, 0.0])
    blended, labels, masks = mixed_up(x, wanted, None, (0.75, 1))
    assert blended.flatten().tolist() == [1.5, 2.5]
    assert labels.tolist() == [0.75, 0.25]
    assert masks is None
