from __future__ import annotations

import pytest
import torch

from forge.models import build_swapper
from forge.models.catalogue import describe, latent_size, tiny_options
from forge.models.checks import need_between, need_choice, need_multiple, need_share, need_size
from forge.models.options import check_options, options_of
from forge.models.registry import SwapperRegistry, swappers
from shared.errors import ConfigError, UnknownNameError


def hint_of(check, *arguments):
    with pytest.raises(ConfigError) as caught:
        check(*arguments)
    return caught.value.hint


def refused(check, *arguments) -> bool:
    try:
        check(*arguments)
    except ConfigError:
        return True
    return False


class TestChecks:
    def test_what_may_be_passes(self):
        """The ends of a range, the whole of a share, a multiple, a size and a word of the list."""
        passed = (
            refused(need_between, "x", 4, 4, 8),
            refused(need_between, "x", 8, 4, 8),
            refused(need_share, "x", 1.0, 1.0),
            refused(need_multiple, "x", 96, 32, 64, 128),
            refused(need_size, "x", 128, (64, 128)),
            refused(need_choice, "x", "good", ("good", "fast")),
        )
        assert not any(passed)
        assert refused(need_between, "x", 8.001, 4, 8)  # and the question can be answered with yes

    def test_what_may_not_is_refused_with_the_nearest(self):
        assert hint_of(need_between, "x", 3, 4, 8) == "try 4"
        assert hint_of(need_between, "x", 9, 4, 8) == "try 8"
        assert hint_of(need_multiple, "x", 100, 32, 64, 128) == "try 96"
        assert hint_of(need_multiple, "x", 32, 32, 64, 128) == "try 64"
        assert hint_of(need_multiple, "x", 160, 32, 64, 128) == "try 128"
        assert hint_of(need_size, "x", 200, (128, 256, 384)) == "try 256"
        assert "good" in hint_of(need_choice, "x", "goof", ("good", "fast"))
        assert hint_of(need_share, "x", 0.0, 1.0)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_no_number_is_no_number(self, value):
        assert hint_of(need_between, "x", value, 4, 8)
        assert hint_of(need_share, "x", value, 4)


class TestOptions:
    def test_they_are_read_off_the_factory_and_off_what_it_returns(self):
        assert options_of("dlight")["features"] == "best"
        assert options_of("dfaker") == {
            "width": 1.0,
            "mask": True,
            "mask_width": 0.25,
            "framing": "full",
            "output_px": 128,
        }

    def test_an_unknown_one_is_refused_with_the_nearest(self):
        with pytest.raises(ConfigError) as caught:
            check_options("dlight", {"output": 256})
        assert "output_px" in caught.value.hint

    @pytest.mark.parametrize("name", swappers.names())
    def test_what_a_family_was_built_with_are_options_it_has(self, name):
        with torch.device("meta"):
            spec = build_swapper(name, ("a", "b")).spec
        assert spec.width == options_of(name)["width"] == 1.0
        assert set(dict(spec.options)) <= set(options_of(name)) - {"width"}

    @pytest.mark.parametrize("name", swappers.names())
    def test_tiny_ones_exist_and_are_small(self, name):
        options = tiny_options(name)
        check_options(name, options)
        assert describe(name, **options).parameters < 1_500_000


class TestFacts:
    def test_they_follow_the_options_asked_for(self):
        small, large = describe("dfaker"), describe("dfaker", output_px=256)
        assert (small.input_px, small.output_px) == (64, 128)
        assert (large.input_px, large.output_px) == (128, 256)
        assert large.parameters > 2 * small.parameters
        assert large.options["output_px"] == 256
        assert small.about.startswith("``dfaker``")

    def test_the_latent_is_the_narrowest_layer_on_the_way(self):
        assert describe("original").latent == 1024
        assert describe("dlight", features="fair").latent == 1152
        assert describe("realface", lopsided=False).latent == 1536

    def test_without_a_narrow_layer_it_is_what_decoders_read(self):
        swapper = build_swapper("original", ("a", "b"), width=0.03)
        swapper.encoder.bottleneck = swapper.encoder.narrow
        del swapper.encoder.narrow
        swapper.encode = lambda faces: torch.zeros(len(faces), 3, 2, 2)
        assert latent_size(swapper) == 12


class TestRegistry:
    def test_a_note_is_kept_beside_the_factory(self):
        registry = SwapperRegistry()
        registry.register("one", source="a/b", tiny={"px": 16}, recipe="slow")(lambda people: None)
        registry.register("two", tiny={"width": 0.1})(lambda people: None)
        assert registry.note("one").tiny == {"width": 0.03, "px": 16}
        assert (registry.note("one").source, registry.note("one").recipe) == ("a/b", "slow")
        assert registry.note("two").tiny == {"width": 0.1}

    def test_no_family_no_note(self):
        with pytest.raises(UnknownNameError):
            swappers.note("orginal")
