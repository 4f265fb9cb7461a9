"""What holds of every registered family; a new one is tested here by being registered."""

from __future__ import annotations

import pytest
import torch

from forge.models import Swapper, build_swapper
from forge.models.catalogue import tiny_options
from forge.models.contract import Option
from forge.models.options import options_of
from forge.models.registry import swappers
from shared.errors import ConfigError, UnknownNameError, UsageError

PEOPLE = ("ann", "bob", "c.d-e")


def tiny(name: str, people: tuple[str, ...] = PEOPLE, **options: Option) -> Swapper:
    torch.manual_seed(4)
    return build_swapper(name, people, **{**tiny_options(name), **options}).eval()


def faces_for(swapper: Swapper, count: int = 2) -> torch.Tensor:
    side = swapper.spec.input_px
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(5))


def open_gates(swapper: Swapper) -> None:
    """Gives every weight that starts at zero a value: behind a gain of zero no gradient comes through."""
    with torch.no_grad():
        for parameter in swapper.parameters():
            if not parameter.any():
                parameter.add_(0.1)


@pytest.mark.parametrize("name", swappers.names())
class TestEveryFamily:
    def test_shapes_and_ranges(self, name):
        swapper = tiny(name)
        spec = swapper.spec
        assert spec.name == name
        assert spec.identities == PEOPLE
        for person in PEOPLE:
            swap = swapper(faces_for(swapper), person)
            assert swap.rgb.shape == (2, 3, spec.output_px, spec.output_px)
            assert swap.mask is not None
            assert swap.mask.shape == (2, 1, spec.output_px, spec.output_px)
            for values in (swap.rgb, swap.mask):
                assert values.dtype == torch.float32
                assert 0 <= values.min() < values.max() <= 1

    def test_output_is_float32_under_autocast(self, name):
        swapper = tiny(name)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            swap = swapper(faces_for(swapper, 1), "ann")
        assert swap.rgb.dtype == torch.float32

    def test_gradient_reaches_the_encoder_and_what_is_the_identitys_own(self, name):
        swapper = tiny(name)
        open_gates(swapper)
        latent = swapper.encode(faces_for(swapper))
        reached = {}
        for person in PEOPLE:
            swapper.zero_grad(set_to_none=True)
            swap = swapper.decode(latent, person)
            assert swap.mask is not None
            drawn = [swap.rgb, swap.mask, *(coarse.rgb for coarse in swap.smaller)]
            torch.stack([picture.mean() for picture in drawn]).sum().backward(retain_graph=True)
            touched = {key for key, value in swapper.named_parameters() if value.grad is not None and value.grad.any()}
            assert any(key.startswith("encoder.") for key in touched)
            reached[person] = touched
        assert reached["bob"] != reached["ann"] != reached["c.d-e"] != reached["bob"]
        every = {key for key, _ in swapper.named_parameters()}
        assert set.union(*reached.values()) == every

    def test_identities_are_drawn_differently_from_one_latent(self, name):
        swapper = tiny(name)
        latent = swapper.encode(faces_for(swapper))
        assert not torch.allclose(swapper.decode(latent, "ann").rgb, swapper.decode(latent, "bob").rgb)

    def test_channels_last_changes_nothing_but_the_layout(self, name):
        swapper = tiny(name)
        faces = faces_for(swapper)
        plain = swapper(faces, "ann").rgb
        swapper = swapper.to(memory_format=torch.channels_last)
        last = swapper(faces.contiguous(memory_format=torch.channels_last), "ann").rgb
        assert torch.allclose(plain, last, atol=1e-5)

    def test_state_goes_into_a_module_built_from_the_spec(self, name):
        swapper = tiny(name)
        spec = swapper.spec
        torch.manual_seed(99)
        again = build_swapper(spec.name, spec.identities, width=spec.width, **dict(spec.options)).eval()
        assert again.spec == spec
        faces = faces_for(swapper)
        assert not torch.equal(again(faces, "ann").rgb, swapper(faces, "ann").rgb)
        again.load_state_dict(swapper.state_dict())
        assert torch.equal(again(faces, "ann").rgb, swapper(faces, "ann").rgb)

    def test_an_unknown_identity_is_refused_with_the_nearest(self, name):
        swapper = tiny(name)
        with pytest.raises(UsageError) as caught:
            swapper(faces_for(swapper), "anne")
        assert "ann" in (caught.value.hint or "")

    def test_it_learns(self, name):
        swapper = tiny(name, ("ann", "bob")).train()
        faces = faces_for(swapper)
        target = torch.nn.functional.interpolate(faces, size=swapper.spec.output_px) * 0.5
        optimizer = torch.optim.Adam(swapper.parameters(), 2e-3)
        losses = []
        for _ in range(12):
            loss = ((swapper(faces, "ann").rgb - target) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.8 * losses[0]

    def test_every_weight_is_in_one_part(self, name):
        swapper = tiny(name)
        parts = swapper.parts()
        found = [id(parameter) for part in parts.values() for parameter in part.parameters()]
        assert sorted(found) == sorted(id(parameter) for parameter in swapper.parameters())
        kinds = {part.partition(".")[0] for part in parts}
        assert "encoder" in kinds
        assert kinds <= {"encoder", "inter", "decoder", "mask"}
        assert {part.partition(".")[2] for part in parts} >= set(PEOPLE[1:])


@pytest.mark.parametrize("name", [name for name in swappers.names() if "mask" in options_of(name)])
def test_without_a_mask(name):
    swapper = tiny(name, mask=False)
    assert not swapper.spec.has_mask
    assert swapper(faces_for(swapper), "ann").mask is None


@pytest.mark.parametrize(
    ("name", "people", "options", "error"),
    [
        ("orginal", ("a", "b"), {}, UnknownNameError),
        ("original", ("a",), {}, UsageError),
        ("original", ("a", "a"), {}, UsageError),
        ("original", ("a", "b"), {"depth": 3}, ConfigError),
        ("original", ("a", "b"), {"width": "wide"}, ConfigError),
        ("original", ("a", "b"), {"width": 0.0}, ConfigError),
        ("original", ("a", "b"), {"width": 40.0}, ConfigError),
        ("original", ("a", "b"), {"mask_width": -1.0}, ConfigError),
        ("original", ("a", "b"), {"framing": "nose"}, ConfigError),
    ],
)
def test_what_cannot_be_built_is_refused(name, people, options, error):
    with pytest.raises(error) as caught:
        build_swapper(name, people, **options)
    assert caught.value.hint
