from __future__ import annotations

import itertools

import numpy as np
import pytest

from forge.building.sampling import encode_of, pairs_of, paste_of, seed_for, variants_of
from forge.building.spec import ManipulationConfig, SegmentsConfig
from forge.building.steps import fitted, sample_segments
from shared.errors import ConfigError, UnknownNameError
from shared.types import ClipId
from shared.video.renditions import KNOWN

PEOPLE = ("ann", "bob", "cleo")


def _manipulation(**settings: object) -> ManipulationConfig:
    return ManipulationConfig(name="m", swapper="s", **settings)  # type: ignore[arg-type]


def test_all_pairs_are_both_directions_of_everybody():
    pairs = pairs_of(_manipulation(), PEOPLE, 0)
    assert len(pairs) == len(set(pairs)) == 6
    assert {(b, a) for a, b in pairs} == set(pairs)


def test_in_a_ring_everybody_gives_and_receives_once():
    assert pairs_of(_manipulation(pairs="ring"), PEOPLE, 0) == [("bob", "ann"), ("cleo", "bob"), ("ann", "cleo")]
    assert pairs_of(_manipulation(pairs="ring"), ("ann",), 0) == []


def test_a_sample_of_pairs_follows_from_the_seed_and_not_from_the_order_of_names():
    first = pairs_of(_manipulation(pairs="sample:2"), PEOPLE, 3)
    assert len(first) == 2
    assert pairs_of(_manipulation(pairs="sample:2"), PEOPLE, 3) == first
    draws = {tuple(pairs_of(_manipulation(pairs="sample:2"), PEOPLE, seed)) for seed in range(20)}
    assert len(draws) > 5
    assert len(pairs_of(_manipulation(pairs="sample:99"), PEOPLE, 3)) == 6


def test_of_a_list_only_the_pairs_of_this_model_are_made():
    asked = (("ann", "bob"), ("dan", "eve"))
    assert pairs_of(_manipulation(pairs=asked), PEOPLE, 0) == [("ann", "bob")]


@pytest.mark.parametrize("pairs", ["some", "sample:0", "sample:x", "sample"])
def test_pairs_that_mean_nothing_are_refused(pairs):
    with pytest.raises(ConfigError, match="pairs"):
        _manipulation(pairs=pairs)


def test_a_grid_has_every_combination_and_a_number_for_each():
    grid = variants_of(_manipulation(factors={"b": [1, 2, 3], "a": ["x", "y"]}), ("ann", "bob"), 0)
    assert [number for number, _ in grid] == list(range(6))
    assert grid[4][1] == {"a": "y", "b": 2}


def test_a_sample_of_the_grid_keeps_the_numbers_of_the_grid():
    manipulation = _manipulation(factors={"b": [1, 2, 3], "a": ["x", "y"]}, combine="sample:2")
    whole = dict(variants_of(_manipulation(factors=manipulation.factors), ("", ""), 0))
    draws = [variants_of(manipulation, (source, "bob"), 5) for source in ("ann", "cleo", "dan", "eve")]
    assert all(len(draw) == 2 and all(whole[n] == values for n, values in draw) for draw in draws)
    assert len({tuple(n for n, _ in draw) for draw in draws}) > 1


def test_without_factors_there_is_one_variant():
    assert variants_of(_manipulation(), ("ann", "bob"), 0) == [(0, {})]


def test_seeds_follow_from_names():
    assert seed_for(1, "a", "b") == seed_for(1, "a", "b")
    assert len({seed_for(1, "a"), seed_for(2, "a"), seed_for(1, "b"), seed_for(1, "a", "a")}) == 4


@pytest.mark.parametrize(
    ("frames", "share", "count"), [(10, 0.5, 1), (10, 0.5, 3), (75, 0.4, 2), (2, 0.5, 1), (3, 0.9, 4), (1, 0.5, 1)]
)
def test_segments_are_apart_ascending_and_of_the_asked_share(frames, share, count):
    for seed in range(30):
        runs = sample_segments(frames, share, count, np.random.default_rng(seed))
        flat = [side for run in runs for side in run]
        assert all(start < stop for start, stop in runs)
        assert all(before[1] < after[0] for before, after in itertools.pairwise(runs))
        assert flat[0] >= 0
        assert flat[-1] <= frames
        inside = sum(stop - start for start, stop in runs)
        assert inside == min(max(1, round(share * frames)), max(1, frames - 1))
        assert len(runs) == max(1, min(count, inside, frames - inside + 1))


def test_segments_begin_anywhere():
    starts = {sample_segments(10, 0.5, 1, np.random.default_rng(seed))[0][0] for seed in range(200)}
    assert starts == set(range(6))


@pytest.mark.parametrize("share", [0.0, 1.0, -1])
def test_a_share_that_is_nothing_or_all_is_refused(share):
    with pytest.raises(ConfigError, match="share"):
        SegmentsConfig(share=share)


def test_pictures_are_shrunk_to_even_sides_and_never_enlarged():
    assert fitted(1280, 720, 512) == (512, 288)
    assert fitted(500, 333, None) == (500, 333)
    assert fitted(101, 51, 200) == (101, 51)


def test_the_quality_of_a_clip_follows_from_its_name_within_the_spread():
    clips = [ClipId("set", None, f"clip-{number}@c23") for number in range(200)]
    drawn = [encode_of(KNOWN["c23"], clip, 3, seed=1).encoding.crf for clip in clips]
    assert set(drawn) == set(range(20, 27))
    assert drawn == [encode_of(KNOWN["c23"], clip, 3, seed=1).encoding.crf for clip in clips]
    assert encode_of(KNOWN["c23"], clips[0], 0, seed=1) == KNOWN["c23"]


def test_a_lossless_rendition_stays_lossless_and_only_the_last_encode_of_a_chain_moves():
    clips = [ClipId("set", None, f"clip-{number}@x") for number in range(50)]
    assert {encode_of(KNOWN["c0"], clip, 3, seed=1) for clip in clips} == {KNOWN["c0"]}
    chains = [encode_of(KNOWN["reupload"], clip, 3, seed=1) for clip in clips]
    assert {chain.through for chain in chains} == {KNOWN["reupload"].through}
    assert len({chain.encoding.crf for chain in chains}) == 7


def test_a_quality_that_is_drawn_stays_on_the_scale_of_its_codec():
    clips = [ClipId("set", None, f"clip-{number}@x") for number in range(50)]
    drawn = [encode_of(KNOWN["mjpeg5"], clip, 12, seed=1).encoding.crf for clip in clips]
    assert min(crf or 0 for crf in drawn) == 2


def test_each_clip_gets_a_paste_of_its_own_that_follows_from_the_seed():
    manipulation = _manipulation(paste={"box": 3.0, "poisson": 1.0})
    drawn = [paste_of(manipulation, f"clip{number}", ("ann", "bob"), 0, 7) for number in range(80)]
    assert drawn == [paste_of(manipulation, f"clip{number}", ("ann", "bob"), 0, 7) for number in range(80)]
    assert len({str(one) for one in drawn}) > 50
    cloned = sum(one is not None and one[0].startswith("poisson:") for one in drawn)
    assert 8 <= cloned <= 34
    assert drawn != [paste_of(manipulation, f"clip{number}", ("ann", "bob"), 0, 8) for number in range(80)]
    assert paste_of(_manipulation(), "clip", ("ann", "bob"), 0, 7) is None


def test_pastes_are_a_name_a_list_or_weights():
    assert _manipulation().pastes == {}
    assert _manipulation(paste="box").pastes == {"box": 1.0}
    assert _manipulation(paste=("box", "ellipse:reactor")).pastes == {"box": 1.0, "ellipse:reactor": 1.0}
    assert _manipulation(paste={"box": 2.5}).pastes == {"box": 2.5}
    with pytest.raises(UnknownNameError, match="no paste is named 'pox'"):
        _manipulation(paste="pox")
    with pytest.raises(ConfigError, match="weight 0"):
        _manipulation(paste={"box": 0.0})
    with pytest.raises(ConfigError, match="drawn, and set too"):
        _manipulation(paste="box", settings={"paste": "ellipse"})
    with pytest.raises(ConfigError, match="drawn, and set too"):
        _manipulation(paste="box", factors={"paste": ["ellipse"]})
