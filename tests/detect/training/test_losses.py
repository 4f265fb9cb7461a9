from __future__ import annotations

import math

import pytest
import torch

from detect.models.contract import Detection
from detect.training.losses import detection_loss, mixed_up, pair_loss, region_loss, spread_loss


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


def test_a_pair_by_hand():
    """Differences 1 and -2 of pairs of one face, and 5 of one of two people, which counts as nothing."""
    logits = torch.tensor([1.5, 0.5, 0.0, 2.0, 5.0, 0.0])
    one_face = torch.tensor([True, True, False])
    by_hand = (math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 3
    assert pair_loss(logits, one_face).item() == pytest.approx(by_hand, rel=1e-5)
    bent = (math.log1p(math.exp(0.5 - 1)) + math.log1p(math.exp(0.5 + 2))) / 3
    assert pair_loss(logits, one_face, margin=0.5).item() == pytest.approx(bent, rel=1e-5)
    assert pair_loss(logits, torch.zeros(3, dtype=torch.bool)).item() == 0.0


def test_a_pair_is_blind_to_what_its_faces_share():
    """A person's own logit, added to both faces, changes neither the loss nor its gradient; those of a pair cancel."""
    logits = torch.tensor([0.3, 0.1, -0.2, 0.4], requires_grad=True)
    one_face = torch.ones(2, dtype=torch.bool)
    pair_loss(logits, one_face).backward()
    assert logits.grad is not None
    slope = -1 / (1 + math.exp(0.2)) / 2
    assert logits.grad.tolist() == pytest.approx(
        [slope, -slope, -1 / (1 + math.exp(-0.6)) / 2, 1 / (1 + math.exp(-0.6)) / 2]
    )
    moved = logits.detach() + torch.tensor([3.0, 3.0, -1.0, -1.0])
    assert pair_loss(moved, one_face).item() == pytest.approx(pair_loss(logits, one_face).item(), rel=1e-5)


def test_the_spread_of_reals_by_hand():
    logits = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    loss = spread_loss(logits, 3.0)
    assert loss.item() == pytest.approx((4 + 1 + 9) / 3)
    loss.backward()
    variance = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    variance.var(correction=0).backward()
    torch.testing.assert_close(logits.grad, variance.grad)


def test_parts_of_a_batch_add_up_to_the_whole():
    """With the whole batch's centre, the mean over parts of value and gradient is that of the whole batch."""
    torch.manual_seed(0)
    logits, one_face = torch.randn(16), torch.rand(8) < 0.6
    centre = float(logits[1::2].mean())
    found = []
    for parts in (1, 2, 4):
        whole = logits.clone().requires_grad_()
        pairs = whole.view(8, 2)
        losses = [
            pair_loss(pairs[part::parts].flatten(), one_face[part::parts]) + spread_loss(pairs[part::parts, 1], centre)
            for part in range(parts)
        ]
        loss = torch.stack(losses).mean()
        loss.backward()
        found.append((loss.detach(), whole.grad))
    for loss, gradient in found[1:]:
        torch.testing.assert_close(loss, found[0][0])
        torch.testing.assert_close(gradient, found[0][1])
