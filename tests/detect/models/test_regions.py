from __future__ import annotations

import numpy as np
import pytest
import torch

from detect.models import build_detector
from detect.models.regions import REGION_NAMES, regions_of, statistics
from shared.errors import ConfigError, UnknownNameError

PX = 96
REGIONS = torch.from_numpy(regions_of(PX, "whole"))
INSIDE = REGIONS[:5].sum(0) > 0
BANDS, SECONDS, PLANES = 5, 2, 3


def log_energies(x: torch.Tensor) -> torch.Tensor:
    """(bands * planes + second differences, regions) of one crop."""
    count = BANDS * PLANES + SECONDS
    return statistics(x, REGIONS)[0, : count * len(REGION_NAMES)].view(count, -1)


class TestRegions:
    def test_they_divide_the_crop(self):
        covered = regions_of(PX, "whole") > 0
        assert (covered.sum(0) == 1).all()
        assert np.allclose(regions_of(PX, "whole").sum((1, 2)), 1)

    def test_the_mouth_lies_below_the_nose_below_the_eyes(self):
        rows = np.arange(PX)[:, None]
        heights = [float((region * rows).sum()) for region in regions_of(PX, "whole")[:3]]
        assert heights == sorted(heights)


class TestStatistics:
    def test_a_plain_crop_has_no_detail_and_its_colour(self):
        x = torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1).expand(1, 3, PX, PX)
        assert torch.allclose(log_energies(x), torch.full((17, 7), float(np.log(1e-6))), atol=1e-2)
        luma = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6
        colours = statistics(x, REGIONS)[0, -21:].view(3, 7)
        wanted = torch.tensor([luma, 0.6 - luma, 0.2 - luma]).view(3, 1).expand(3, 7)
        assert torch.allclose(colours, wanted, atol=1e-4)

    def test_noise_in_the_face_alone_shows_there_alone(self):
        generator = torch.Generator().manual_seed(3)
        grey = torch.full((1, 3, PX, PX), 0.5)
        noise = 0.1 * torch.randn(1, 1, PX, PX, generator=generator)
        found = log_energies(torch.where(INSIDE, grey + noise, grey))
        # Second differences of white noise of deviation 0.1: variance 6 times 0.01.
        assert torch.allclose(found[15, :5], torch.full((5,), float(np.log(0.06))), atol=0.5)
        assert found[15, 6] < -12
        # The same noise in every colour changes no difference of colours.
        assert found[1, :5].max() < -12

    def test_equal_noise_of_the_colours_goes_together(self):
        generator = torch.Generator().manual_seed(4)
        own = 0.1 * torch.randn(1, 3, PX, PX, generator=generator)
        start = 17 * 7
        together = statistics(0.5 + own[:, :1].expand(1, 3, PX, PX), REGIONS)[0, start : start + 14]
        apart = statistics(0.5 + own, REGIONS)[0, start : start + 14]
        assert (together > 0.99).all()
        assert apart.abs().max() < 0.4


class TestDetector:
    def test_it_has_one_model_and_a_range_of_sizes(self):
        with pytest.raises(UnknownNameError, match="regions has no model"):
            build_detector("resnet18", family="regions")
        with pytest.raises(ConfigError, match="between 64 and 512"):
            build_detector("regions", family="regions", input_px=16)

    def test_a_crop_without_surroundings_is_refused(self):
        with pytest.raises(ConfigError, match="framing 'half' has no pixel of"):
            regions_of(PX, "half")
        assert regions_of(PX, "head").shape == (7, PX, PX)
