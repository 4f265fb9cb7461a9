from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from forge.models.contract import Swap, Swapper, SwapSpec
from forge.training.data import FaceBank
from forge.training.previews import decode_all, loss_plot, measure, preview_sheet
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


def sheet(factors: dict[str, float], *, faces: int = 10, one_decoder: bool = False) -> np.ndarray:
    banks = [bank(name, seed, faces) for seed, name in enumerate(factors)]
    return preview_sheet(Painter(factors), banks, CPU, "step 20", one_decoder=one_decoder)


def cells(picture: np.ndarray) -> np.ndarray:
    """Mean brightness of the cells of the large part, (rows, columns): inside their frames."""
    rows = min((len(picture) - 36) // 128, 9)
    grid = picture[36 : 36 + 128 * rows, 120:].reshape(rows, 128, -1, 128, 3)
    return grid[:, 8:-8, :, 8:-8].mean((1, 3, 4))


def framed(picture: np.ndarray) -> list[list[bool]]:
    rows = min((len(picture) - 36) // 128, 9)
    grid = picture[36 : 36 + 128 * rows, 120:].reshape(rows, 128, -1, 128, 3)
    return (grid[:, 0] == 235).all((2, 3)).tolist()


def test_a_column_for_each_face_and_a_row_for_each_decoder():
    picture = sheet({"ann": 1.0, "bob": 0.5})
    assert picture.shape == (36 + 3 * 128, 120 + 8 * 128, 3)
    assert picture.dtype == np.uint8
    faces, as_ann, as_bob = cells(picture)
    assert as_ann == pytest.approx(faces, abs=1)
    assert as_bob == pytest.approx(faces / 2, abs=1)
    # Four faces of each; a frame where a face is decoded as its own person.
    assert framed(picture) == [[False] * 8, [True] * 4 + [False] * 4, [False] * 4 + [True] * 4]


@pytest.mark.parametrize(("people", "columns", "rows"), [(3, 6, 4), (4, 8, 5), (8, 8, 9)])
def test_few_people_are_all_shown(people, columns, rows):
    picture = sheet({f"p{number}": 1.0 for number in range(people)})
    assert picture.shape == (36 + rows * 128, 120 + columns * 128, 3)


@pytest.mark.parametrize(("people", "small"), [(9, 2), (40, 5), (200, 6)])
def test_of_many_people_eight_are_shown_and_all_in_small_up_to_a_bound(people, small):
    picture = sheet({f"p{number}": 1.0 for number in range(people)}, faces=2)
    assert picture.shape == (36 + 9 * 128 + 36 + small * 82, 120 + 8 * 128, 3)


def test_the_people_shown_of_many_are_spread_evenly():
    # The last of nine is black as decoded by itself alone, and stands in the last column and row.
    factors = {f"p{number}": float(number < 8) for number in range(9)}
    shown = cells(sheet(factors))
    assert shown[-1] == pytest.approx(0, abs=1)
    assert shown[1:-1].min() > 60


def test_a_population_is_decoded_once():
    picture = sheet({"ann": 0.5, "bob": 0.5, "cat": 0.5}, one_decoder=True)
    faces, again = cells(picture)
    assert again == pytest.approx(faces / 2, abs=1)
    assert not np.any(framed(picture))


def test_banks_of_different_size_no_mask_and_any_name_make_one_picture():
    names = "Zoë with a very long name", "李"
    swapper = Painter(dict.fromkeys(names, 0.5), mask=False)
    picture = preview_sheet(swapper, [bank(names[0], faces=2), bank(names[1], faces=9)], CPU)
    assert picture.shape == (36 + 3 * 128, 120 + 6 * 128, 3)


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
