"""A swapper of a whole population: one set of weights, stored once, and the start of others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from forge.models import Swapper, build_swapper, swappers
from forge.models.checkpoint import WEIGHTS_FILE, load_swapper, save_swapper
from forge.models.parts import load_parts
from forge.models.population import stored_names, tie_identities
from shared.errors import CheckpointError, UsageError

CROWDS = ("north", "south", "east")
LOPSIDED = ("dlight", "realface", "unbalanced")


def built(name: str, identities: tuple[str, ...], seed: int = 0) -> Swapper:
    torch.manual_seed(seed)
    equal = {"lopsided": False} if name in LOPSIDED else {}
    return build_swapper(name, identities, **{**swappers.note(name).tiny, **equal})


def of_population(name: str = "compact") -> Swapper:
    swapper = built(name, CROWDS, seed=9)
    tie_identities(swapper)
    return swapper.eval()


def decoded(swapper: Swapper, who: str) -> torch.Tensor:
    px = swapper.spec.input_px
    faces = torch.rand(2, 3, px, px, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return swapper.eval()(faces, who).rgb


@pytest.mark.parametrize("name", swappers.names())
def test_of_every_family_all_identities_decode_alike_and_new_people_begin_as_copies(name, tmp_path):
    swapper = of_population(name)
    torch.testing.assert_close(decoded(swapper, "north"), decoded(swapper, "east"))
    folder = save_swapper(swapper, tmp_path / "base", population=True)
    again = load_swapper(folder)
    torch.testing.assert_close(decoded(again, "south"), decoded(swapper, "north"))

    pair = built(name, ("ann", "bob"))
    loaded = load_parts(pair, folder)
    assert set(loaded.parts) == set(pair.parts())
    expected = decoded(swapper, "north")
    for who in ("ann", "bob"):
        torch.testing.assert_close(decoded(pair, who), expected)


def test_shared_weights_are_stored_once(tmp_path):
    swapper = of_population()
    save_swapper(swapper, tmp_path / "base", population=True)
    with safe_open(tmp_path / "base" / WEIGHTS_FILE, framework="pt") as file:
        names = set(file.keys())
    assert names == set(stored_names(swapper)) < set(swapper.state_dict())
    assert not any(name.startswith(("decoders.1.", "decoders.2.")) for name in names)


def test_weights_in_half_the_bytes_are_float32_again_and_nearly_equal(tmp_path):
    swapper = of_population()
    full = save_swapper(swapper, tmp_path / "full", population=True)
    half = save_swapper(swapper, tmp_path / "half", population=True, half=True)
    sizes = [(folder / WEIGHTS_FILE).stat().st_size for folder in (half, full)]
    assert sizes[0] < 0.6 * sizes[1]
    again = load_swapper(half)
    assert {value.dtype for value in again.parameters()} == {torch.float32}
    torch.testing.assert_close(decoded(again, "north"), decoded(swapper, "north"), atol=5e-3, rtol=0)


def test_decoders_of_a_new_person_can_be_asked_for_alone(tmp_path):
    folder = save_swapper(of_population(), tmp_path / "base", population=True)
    pair = built("compact", ("ann", "bob"))
    assert load_parts(pair, folder, "decoder.bob").parts == ("decoder.bob",)


def test_copies_are_apart_from_then_on(tmp_path: Path):
    folder = save_swapper(of_population(), tmp_path / "base", population=True)
    pair = built("compact", ("ann", "bob"))
    load_parts(pair, folder)
    with torch.no_grad():
        next(pair.parts()["decoder.ann"].parameters()).add_(1)
    assert not torch.equal(decoded(pair, "ann"), decoded(pair, "bob"))


@pytest.mark.parametrize("name", LOPSIDED)
def test_a_family_with_unequal_decoders_is_refused(name):
    torch.manual_seed(0)
    swapper = build_swapper(name, CROWDS[:2], **{**swappers.note(name).tiny, "lopsided": True})
    with pytest.raises(UsageError, match="no common decoder"):
        tie_identities(swapper)


def test_a_swapper_that_lacks_weights_is_not_taken_for_a_populations(tmp_path):
    folder = save_swapper(of_population(), tmp_path / "base", population=True)
    card = folder / "swapper.toml"
    card.write_text(card.read_text().replace("population = true", "population = false"))
    with pytest.raises(CheckpointError, match="does not fit compact"):
        load_swapper(folder)
