from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from forge.models import build_swapper
from forge.models.timm_encoder import OUTPUT_PX, TimmEncoder, cached_weights, encoder_shape
from shared.errors import ConfigError

PEOPLE = ("ann", "bob", "eve")
TINY = {"encoder": "test_efficientnet", "input_px": 64, "output_px": 64, "width": 0.03}


def build(**options):
    torch.manual_seed(2)
    return build_swapper("timm", PEOPLE, **{**TINY, **options}).eval()


def drawn(swapper):
    side = swapper.spec.input_px
    faces = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    latent = swapper.encode(faces)
    return {who: swapper.decode(latent, who).rgb for who in PEOPLE}


def hint_of(**options):
    with pytest.raises(ConfigError) as caught:
        build(**options)
    return caught.value.hint


@pytest.mark.parametrize(
    ("encoder", "input_px"),
    [("test_vit", 96), ("test_convnext", 64), ("test_mambaout", 64)],
)
def test_convolutions_and_transformers_alike(encoder, input_px):
    swapper = build(encoder=encoder, input_px=input_px)
    shape = encoder_shape(encoder, input_px)
    face = torch.rand(1, 3, input_px, input_px)
    assert swapper.encode(face).shape == (1, shape.channels, shape.height, shape.width)
    assert swapper(face, "eve").rgb.shape == (1, 3, 64, 64)


@pytest.mark.parametrize("output_px", [80, 224, 448])
def test_the_picture_has_the_size_asked_for(output_px):
    swapper = build(output_px=output_px, residuals=0)
    with torch.no_grad():
        swap = swapper(torch.rand(1, 3, 64, 64), "ann")
    assert swap.rgb.shape[-2:] == swap.mask.shape[-2:] == (output_px, output_px)


def test_sizes_are_maps_of_4_to_7_doubled():
    assert OUTPUT_PX == (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024)


@pytest.mark.parametrize(
    ("split", "decoder", "inters", "shared", "decoders"),
    [
        ("shared", "own", 0, True, 3),
        ("own", "own", 3, False, 3),
        ("own", "shared", 3, False, 1),
        ("half", "shared", 3, True, 1),
        ("half", "own", 3, True, 3),
    ],
)
def test_bottleneck_and_decoder_are_shared_or_split(split, decoder, inters, shared, decoders):
    swapper = build(split=split, decoder=decoder)
    assert (len(swapper.inters), swapper.shared is not None, len(swapper.decoders)) == (inters, shared, decoders)
    faces = drawn(swapper)
    assert not torch.equal(faces["ann"], faces["bob"])
    if inters:
        with torch.no_grad():
            swapper.inters[1].widen.weight.add_(0.5)
        after = drawn(swapper)
        assert [torch.equal(faces[who], after[who]) for who in PEOPLE] == [True, False, True]
    parts = swapper.parts()
    assert ("inter" in parts, "inter.bob" in parts, "decoder.bob" in parts) == (shared, inters > 0, decoders > 1)


def test_pools_reduce_the_map_as_they_say():
    seen = torch.arange(8.0).view(1, 2, 2, 2)
    shape = encoder_shape("test_efficientnet", 64)
    flats = {pool: build(pool=pool).shared for pool in ("dense", "average", "max")}
    assert flats["average"]._flat(seen).tolist() == [[1.5, 5.5]]
    assert flats["max"]._flat(seen).tolist() == [[3.0, 7.0]]
    assert flats["dense"]._flat(seen).tolist() == [[0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]]
    assert flats["dense"].narrow.in_features == shape.channels * shape.height * shape.width
    assert flats["max"].narrow.in_features == shape.channels


def test_faces_are_normalised_as_the_encoder_was_trained():
    encoder = TimmEncoder(encoder_shape("test_convnext", 64)).eval()
    faces = torch.rand(1, 3, 64, 64)
    assert encoder.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert torch.allclose(encoder(faces), encoder.net(faces * 2 - 1)[0], atol=1e-5)


class TestPretrained:
    @pytest.fixture
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        return tmp_path

    def test_weights_come_from_the_cache(self, cache):
        folder = cache / "models--timm--test_efficientnet.r160_in1k"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text("abc")
        (folder / "snapshots" / "abc").mkdir(parents=True)
        torch.manual_seed(11)
        known = timm.create_model("test_efficientnet", pretrained=False).state_dict()
        save_file(known, folder / "snapshots" / "abc" / "model.safetensors")
        swapper = build(pretrained=True)
        assert torch.equal(swapper.encoder.net.conv_stem.weight, known["conv_stem.weight"])
        assert not torch.equal(build().encoder.net.conv_stem.weight, known["conv_stem.weight"])
        # How training began is no part of what is exported, which must load where there is no cache.
        assert "pretrained" not in dict(swapper.spec.options)

    def test_weights_that_are_not_there_are_not_fetched(self, cache):
        with pytest.raises(ConfigError) as caught:
            build(pretrained=True)
        assert "hf download timm/test_efficientnet" in caught.value.hint
        assert list(cache.iterdir()) == []

    def test_an_encoder_nobody_trained_has_none(self, cache):
        with pytest.raises(ConfigError, match="no pretrained weights"):
            cached_weights("efficientnet_b0_gn")


class TestRefusals:
    def test_an_unknown_encoder_names_the_nearest(self):
        assert "efficientnet_b4" in hint_of(encoder="eficientnet_b4")

    def test_sizes_name_the_nearest(self):
        assert hint_of(output_px=288) == "try 256"
        assert hint_of(output_px=2048) == "try 1024"
        assert hint_of(input_px=100) == "try 96"
        assert hint_of(encoder="eva02_tiny_patch14_224", input_px=64) == "try 70"

    def test_a_size_the_encoder_cannot_read_names_its_own(self):
        assert hint_of(encoder="inception_v3", input_px=32) == "try 299"

    def test_words_name_the_nearest(self):
        assert "average" in hint_of(pool="averge")
        assert "half" in hint_of(split="haf")
        assert "shared" in hint_of(decoder="share")

    def test_all_shared_would_make_everybody_alike(self):
        assert "half" in hint_of(split="shared", decoder="shared")

    @pytest.mark.parametrize(
        "options", [{"dense": 8}, {"decoder_channels": 9000}, {"residuals": 9}, {"mask_width": 2.0}, {"dense": -1}]
    )
    def test_numbers_out_of_range(self, options):
        assert hint_of(**options)
