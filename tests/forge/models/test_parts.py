from __future__ import annotations

from pathlib import Path

import pytest
import torch

from forge.models import Swapper, build_swapper
from forge.models.checkpoint import save_swapper, swapper_digest
from forge.models.parts import load_parts, named_parts
from shared.errors import CheckpointError, UsageError
from shared.storage import sha256_file
from shared.training.checkpoint import write_checkpoint


def model(*identities: str, seed: int = 0, width: float = 0.03, name: str = "lightweight") -> Swapper:
    torch.manual_seed(seed)
    return build_swapper(name, identities, width=width)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_swapper(model("ann", "cat", "dan", seed=9), tmp_path_factory.mktemp("pre") / "swapper")


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_kind_means_all_of_it_and_a_name_one():
    swapper = model("ann", "bob")
    assert set(named_parts(swapper, "decoder")) == {"decoder.ann", "decoder.bob"}
    assert set(named_parts(swapper, "encoder, mask.bob")) == {"encoder", "mask.bob"}
    assert named_parts(swapper, "") == {}
    with pytest.raises(UsageError, match="no part 'decodr'") as caught:
        named_parts(swapper, "decodr")
    assert "decoder" in (caught.value.hint or "")


def test_a_shared_part_is_one_that_identities_use_beside_their_own():
    liae = build_swapper("saehd", ("ann", "bob", "cat"), width=0.1, resolution=64, architecture="liae-ud")
    assert set(named_parts(liae, "inter")) == {"inter", "inter.bob", "inter.cat"}
    assert set(named_parts(liae, "shared inter")) == {"inter"}
    df = build_swapper("saehd", ("ann", "bob"), width=0.1, resolution=64, architecture="df-ud")
    assert set(named_parts(df, "inter")) == {"inter"}
    assert named_parts(df, "shared inter") == {}
    with pytest.raises(UsageError, match="no part 'intre'"):
        named_parts(df, "shared intre")


def test_what_both_have_is_taken_and_new_people_begin_anew(pretrained):
    swapper, source = model("ann", "bob"), model("ann", "cat", "dan", seed=9)
    fresh = model("ann", "bob")
    loaded = load_parts(swapper, pretrained)
    assert loaded.digest == swapper_digest(pretrained)
    assert set(loaded.parts) == {"encoder", "decoder.ann", "mask.ann"}
    for name in loaded.parts:
        assert equal(swapper.parts()[name], source.parts()[name])
    assert equal(swapper.parts()["decoder.bob"], fresh.parts()["decoder.bob"])


def test_only_the_parts_that_were_asked_for_are_taken(pretrained):
    swapper, fresh = model("ann", "bob"), model("ann", "bob")
    assert load_parts(swapper, pretrained, "encoder").parts == ("encoder",)
    assert equal(swapper.parts()["decoder.ann"], fresh.parts()["decoder.ann"])


def test_a_checkpoint_of_a_run_is_a_start_too(tmp_path):
    source, later = model("ann", "bob", seed=3), model("ann", "bob", seed=4)
    save_swapper(later, tmp_path / "swapper")
    checkpoint = tmp_path / "checkpoints" / "step-00000020.safetensors"
    checkpoint.parent.mkdir()
    tensors = {f"model.{name}": value for name, value in source.state_dict().items()}
    write_checkpoint(checkpoint, tensors | {"other": torch.zeros(1)}, {"step": 20, "meta": {}})
    swapper = model("ann", "bob")
    loaded = load_parts(swapper, checkpoint)
    assert loaded.digest == sha256_file(checkpoint)
    assert equal(swapper, source)
    write_checkpoint(checkpoint, {"model.other": torch.zeros(1)}, {"step": 20, "meta": {}})
    with pytest.raises(CheckpointError, match="is no checkpoint of"):
        load_parts(swapper, checkpoint)


def test_what_does_not_fit_is_refused_and_nothing_is_changed(pretrained):
    wider, kept = model("ann", "bob", width=0.06), model("ann", "bob", width=0.06)
    with pytest.raises(CheckpointError, match=r"width is 0\.03 there and 0\.06 here.*encoder"):
        load_parts(wider, pretrained)
    assert equal(wider, kept)
    with pytest.raises(CheckpointError, match=r"no part decoder\.bob"):
        load_parts(model("ann", "bob"), pretrained, "decoder.bob")
    with pytest.raises(CheckpointError, match="no exported swapper"):
        load_parts(model("ann", "bob"), pretrained.parent / "none")
