from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from forge.models.contract import Swap, Swapper, SwapSpec
from forge.training.data import FaceBank
from forge.training.previews import decode_all, direction_sheet, loss_plot, measure, preview
from forge.training.timelapse import assemble, plot_moment
from shared.device import pick_device
from shared.video import VideoReader
from shared.video.images import encode_jpeg

CPU = pick_device("cpu", "float32")
NAMES = ("ann", "bob")


class Painter(Swapper):
    """Draws every face as it is, dimmed by a factor of its identity: what comes out is known."""

    def __init__(self, factors: dict[str, float], *, mask: bool = True) -> None:
        super().__init__()
        self.factors = factors
        self.spec = SwapSpec("painter", 32, 32, "full", tuple(factors), mask)

    def encode(self, faces: Tensor) -> Tensor:
        return faces

    def decode(self, latent: Tensor, identity: str) -> Swap:
        mask = torch.ones_like(latent[:, :1]) if self.spec.has_mask else None
        return Swap(latent * self.factors[identity], mask)


def bank(name: str, seed: int = 0, faces: int = 10) -> FaceBank:
    planes = torch.randint(0, 256, (faces, 6, 40, 40), generator=torch.Generator().manual_seed(seed))
    planes[:, 3] = 255
    return FaceBank(name, planes.to(torch.uint8), 0.8)


def test_a_block_of_rows_for_each_identity_and_a_column_for_each_face():
    picture = preview(Painter({"ann": 1.0, "bob": 0.0}), [bank("ann"), bank("bob", 1)], CPU, faces=3)
    row = 128 + 18
    assert picture.shape == (6 * row, 3 * 128, 3)
    assert picture.dtype == np.uint8
    bright = [picture[n * row + 18 : (n + 1) * row].mean() > 60 for n in range(6)]
    # ann: herself, again, as bob (black); bob: himself, again (black), as ann.
    assert bright == [True, True, False, True, False, True]
    assert np.array_equal(picture[18:row], picture[row + 18 : 2 * row])


def test_banks_of_different_size_and_no_mask_make_one_picture():
    swapper = Painter({"ann": 1.0, "bob": 0.5}, mask=False)
    picture = preview(swapper, [bank("ann", faces=2), bank("bob", faces=9)], CPU, faces=4)
    assert picture.shape[1] == 4 * 128


def test_of_many_identities_four_are_shown():
    names = [f"p{number}" for number in range(6)]
    picture = preview(Painter(dict.fromkeys(names, 1.0)), [bank(name) for name in names], CPU, faces=2)
    assert picture.shape[0] == 4 * 5 * (128 + 18)


def test_the_mode_is_left_as_it_was():
    swapper = Painter({"ann": 1.0, "bob": 1.0}).train()
    drawn = decode_all(swapper, torch.rand(2, 3, 32, 32), NAMES, CPU)
    assert swapper.training
    assert set(drawn) == set(NAMES)
    assert not drawn["ann"][0].requires_grad


def test_a_perfect_copy_measures_one_and_a_dim_one_less():
    swapper = Painter({"ann": 1.0, "bob": 0.5})
    perfect, dim = measure(swapper, bank("ann"), CPU), measure(swapper, bank("bob"), CPU)
    assert perfect.ssim == pytest.approx(1, abs=1e-4)
    assert perfect.sharpness == pytest.approx(1, abs=1e-4)
    assert perfect.faces == 10
    assert dim.ssim < 0.95
    # Half the contrast is a quarter of the variance.
    assert dim.sharpness == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("lines", [[], [{"step": 20, "loss": 0.5}, {"step": 40, "loss": 0.2, "loss/ann": 0.1}]])
def test_the_plot_is_a_picture(lines):
    plot = cv2.imdecode(np.frombuffer(loss_plot(lines), np.uint8), cv2.IMREAD_COLOR)
    assert plot.shape[:2] == (440, 880)


def test_every_direction_has_a_cell_and_the_face_stands_beside_them():
    factors = {"a": 1.0, "b": 0.5, "c": 0.0}
    sheet = direction_sheet(Painter(factors), [bank(name, seed) for seed, name in enumerate(factors)], CPU)
    assert sheet.shape == (3 * (96 + 18), 4 * 96, 3)
    cells = [sheet[18:114, 96 * place : 96 * place + 96].mean() for place in range(4)]
    assert cells[1] == pytest.approx(cells[0], abs=1)
    assert cells[2] == pytest.approx(cells[0] / 2, abs=2)
    assert cells[3] == pytest.approx(0, abs=1)


def test_the_same_faces_at_every_moment_and_a_film_of_them(tmp_path):
    swapper = Painter({"ann": 1.0, "bob": 0.5})
    banks = [bank("ann"), bank("bob", 1)]
    for step in (10, 20, 30):
        moment = plot_moment(swapper, banks, CPU, step)
        assert moment.shape == (20 + 2 * 128, 6 * 128, 3)
        (tmp_path / f"step-{step:08d}.jpg").write_bytes(encode_jpeg(moment))
    again = plot_moment(swapper, banks, CPU, 30)
    assert np.array_equal(again, moment)
    assert assemble(tmp_path, tmp_path / "film.mp4") is not None
    with VideoReader(tmp_path / "film.mp4") as reader:
        assert sum(1 for _ in reader) == 3
    assert assemble(tmp_path / "empty", tmp_path / "none.mp4") is None
