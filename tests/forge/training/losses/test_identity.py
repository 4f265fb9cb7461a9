from __future__ import annotations

import numpy as np
import pytest
import torch

from forge.training.losses.identity import chips, identity
from shared.faces.align import MEAN_FACE, mean_in_crop
from shared.faces.identity_net import CHIP_PX

SIDE = 320


def picture(seed: int = 0, side: int = SIDE) -> torch.Tensor:
    small = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, size=side, mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("framing", ["whole", "head"])
def test_chips_are_cut_where_dlib_cuts_them(framing, across):
    dlib = pytest.importorskip("dlib")
    ramp = torch.linspace(0, 1, SIDE).expand(1, 3, SIDE, SIDE)
    ramp = ramp if across else ramp.mT
    image = np.ascontiguousarray(np.rint(255 * ramp[0].permute(1, 2, 0).numpy()).astype(np.uint8))
    points = dlib.points([dlib.point(*np.rint(each).astype(int).tolist()) for each in mean_in_crop(SIDE, framing)])
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, SIDE, SIDE), points)
    wanted = dlib.get_face_chip(image, shape, size=CHIP_PX, padding=0.25).astype(float)[..., 0]
    own = 255 * chips(ramp, framing)[0, 0].numpy()
    slope = own[75, 80] - own[75, 70] if across else own[80, 75] - own[70, 75]
    # How far apart the two chips lie, in chip pixels, anywhere inside.
    assert np.abs((own - wanted) / (slope / 10))[20:-20, 20:-20].max() < 2.5


def test_chips_of_all_framings_show_the_face_at_one_place():
    # A picture whose red and green are the place on the mean face looks the same from every crop.
    found = []
    for framing in ("whole", "head"):
        place = mean_in_crop(SIDE, framing)
        scale = (place[16, 0] - place[0, 0]) / (MEAN_FACE[16, 0] - MEAN_FACE[0, 0])
        grid = torch.arange(SIDE, dtype=torch.float32)
        x = (grid - place[8, 0]) / scale + 0.5
        found.append(chips(x.expand(1, 3, SIDE, SIDE), framing)[0, 0, 75, 20:-20])
    assert torch.allclose(found[0], found[1], atol=1e-3)


def test_equal_faces_cost_nothing_and_gradient_flows():
    face, drawn = picture(1, 64), picture(2, 64).requires_grad_()
    assert identity(face, face, "full").item() == pytest.approx(0, abs=1e-5)
    loss = identity(drawn, face, "full")
    loss.backward()
    assert 0 < loss.item() < 2
    assert drawn.grad is not None
    assert torch.isfinite(drawn.grad).all()
    assert drawn.grad.abs().sum() > 0
