from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from forge.models import Swapper, build_swapper
from forge.models.checkpoint import TrainingSource, find_swapper, load_swapper, read_card, save_swapper, swapper_digest
from shared.errors import CheckpointError, StorageError

PEOPLE = ("ann", "bob")


def tiny(seed: int = 0, people: tuple[str, ...] = PEOPLE, **options: bool | float | str) -> Swapper:
    torch.manual_seed(seed)
    return build_swapper("lightweight", people, width=0.03, **options)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = [TrainingSource("ann", "consent", 120, "a" * 64), TrainingSource("bob", "CC-BY-4.0", 80, "b" * 64)]
    folder = tmp_path_factory.mktemp("export") / "swapper"
    return save_swapper(tiny(), folder, facesets=sources, training={"steps": 7, "loss": 0.25})


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "swapper"))


def refusal(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load_swapper(path)
    assert caught.value.hint
    return caught.value


def assert_same(one: Swapper, other: Swapper) -> None:
    """Equal weights and tables, to the bit. What is drawn with them may differ by rounding: vector instructions group
    a sum otherwise where a weight begins at another address, as it does in a file.
    """
    mine, theirs = (dict([*net.named_parameters(), *net.named_buffers()]) for net in (one, other))
    assert mine.keys() == theirs.keys()
    assert [name for name, value in mine.items() if not torch.equal(value, theirs[name])] == []


def test_what_is_saved_draws_the_same_faces(exported):
    before, after = tiny().eval(), load_swapper(exported)
    faces = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert after.spec == before.spec
    assert not after.training
    assert_same(before, after)
    torch.testing.assert_close(after(faces, "bob").rgb, before(faces, "bob").rgb)


@pytest.mark.parametrize("encoder", ["test_efficientnet", "eva02_tiny_patch14_224"])
def test_counters_and_tables_of_an_encoder_are_there_again(tmp_path, encoder):
    torch.manual_seed(3)
    side = 70 if "patch14" in encoder else 64
    options = {"encoder": encoder, "input_px": side, "output_px": 64}
    before = build_swapper("timm", PEOPLE, width=0.03, **options)
    faces = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    before(faces, "ann")  # moves the running statistics of a batch normalisation
    before.eval()
    stream = torch.get_rng_state()
    after = load_swapper(save_swapper(before, tmp_path / "swapper"))
    assert_same(before, after)
    torch.testing.assert_close(after(faces, "bob").rgb, before(faces, "bob").rgb)
    assert torch.equal(torch.get_rng_state(), stream)


def test_options_survive(tmp_path):
    folder = save_swapper(tiny(mask=False, framing="whole"), tmp_path / "swapper")
    spec = load_swapper(folder, torch.device("cpu")).spec
    assert spec.framing == "whole"
    assert not spec.has_mask


def test_the_card_says_who_it_learned_from(exported):
    card = read_card(exported)
    assert card.identities == PEOPLE
    assert card.facesets[1] == TrainingSource("bob", "CC-BY-4.0", 80, "b" * 64)
    assert card.training == {"steps": 7, "loss": 0.25}
    assert card.parameters == sum(parameter.numel() for parameter in tiny().parameters())
    text = tomllib.loads((exported / "swapper.toml").read_text())
    assert text["facesets"][0]["rights"] == "consent"


def test_it_is_found_in_its_run(exported, tmp_path):
    assert find_swapper(exported) == exported
    assert find_swapper(exported.parent) == exported
    assert load_swapper(exported.parent).spec.identities == PEOPLE
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(CheckpointError) as caught:
        find_swapper(tmp_path)
    assert "train" in (caught.value.hint or "")
    refusal(tmp_path / "nowhere")


def test_saving_again_replaces_the_whole_folder(copy):
    (copy / "leftover").write_text("")
    save_swapper(tiny(5), copy)
    assert sorted(path.name for path in copy.iterdir()) == ["model.safetensors", "swapper.toml"]
    load_swapper(copy)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_reported(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError):
        save_swapper(tiny(), tmp_path / "swapper")


class TestDigest:
    def test_it_names_weights_and_architecture_but_not_the_training(self, exported, tmp_path):
        same = save_swapper(tiny(), tmp_path / "same", training={"steps": 9})
        assert swapper_digest(same) == swapper_digest(exported)
        assert len(swapper_digest(same)) == 64

    def test_other_weights_or_identities_give_another(self, exported, tmp_path):
        digests = {swapper_digest(exported)}
        digests.add(swapper_digest(save_swapper(tiny(1), tmp_path / "weights")))
        digests.add(swapper_digest(save_swapper(tiny(0, ("ann", "cat")), tmp_path / "people")))
        assert len(digests) == 3

    def test_changed_weights_have_none(self, copy):
        (copy / "model.safetensors").write_bytes(b"")
        with pytest.raises(CheckpointError):
            swapper_digest(copy)


class TestDamage:
    @pytest.mark.parametrize("size", [0, 100, -1])
    def test_weights_cut_short(self, copy, size):
        file = copy / "model.safetensors"
        file.write_bytes(file.read_bytes()[:size])
        assert "cut short or changed" in str(refusal(copy))

    def test_one_flipped_bit(self, copy):
        file = copy / "model.safetensors"
        data = bytearray(file.read_bytes())
        data[-7] ^= 1
        file.write_bytes(data)
        assert "cut short or changed" in str(refusal(copy))

    def test_weights_missing(self, copy):
        (copy / "model.safetensors").unlink()
        assert "cannot be read" in str(refusal(copy))

    @pytest.mark.parametrize("text", ["", "not toml [", "version = 1\n"])
    def test_a_card_that_is_none(self, copy, text):
        (copy / "swapper.toml").write_text(text)
        assert "damaged" in str(refusal(copy))

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("version = 1", "version = 9", "version 9"),
            ('model = "lightweight"', 'model = "heavyweight"', "describes no swapper"),
            ('model = "lightweight"', 'model = "original"', "does not fit original"),
            ("width = 0.03", "width = 0.5", "does not fit"),
            ("width = 0.03", "width = 1e9", "out of bounds"),
            ("output_px = 64", "output_px = 128", "contradicts"),
            ("\nmask = true", "\ndepth = 3", "describes no swapper"),
            ('framing = "full"', 'framing = "nose"', "is damaged"),
            ('    "bob",\n', "", "out of bounds"),
            ('    "bob",\n', '    "../bob",\n', "out of bounds"),
            ('    "bob",\n', '    "ann",\n', "describes no swapper"),
        ],
    )
    def test_a_card_that_was_edited(self, copy, old, new, said):
        card = copy / "swapper.toml"
        assert old in card.read_text()
        card.write_text(card.read_text().replace(old, new))
        with pytest.raises(CheckpointError, match=said):
            load_swapper(copy)

    @pytest.mark.parametrize("change", ["missing", "extra", "shape", "dtype"])
    def test_weights_of_another_model_under_a_matching_hash(self, copy, change):
        file = copy / "model.safetensors"
        state = load_file(file)
        name = "encoder.narrow.bias"
        if change == "missing":
            del state[name]
        elif change == "extra":
            state["intruder"] = torch.zeros(2)
        elif change == "shape":
            state[name] = torch.zeros(3)
        else:
            state[name] = state[name].half()
        before = read_card(copy).sha256
        save_file(state, file)
        from shared.storage import sha256_file

        card = copy / "swapper.toml"
        card.write_text(card.read_text().replace(before, sha256_file(file)))
        assert ("intruder" if change == "extra" else name) in str(refusal(copy))
