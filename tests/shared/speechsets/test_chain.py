"""One chain for a group: same silence, length, level and band for a recording and its fakes."""

import dataclasses

import numpy as np
import pytest

from shared.audio.loudness import active_level
from shared.audio.sound import Sound
from shared.errors import LeakError, UsageError
from shared.speechsets.chain import Chain, drawn_chain, length_for, sent_through, speech_bounds
from shared.speechsets.layout import RATE, SpeechRecord
from shared.speechsets.splits import need_disjoint, speaker_splits

PLAIN = Chain(0.25, 6.0, RATE, 0.0, 6.0, 40.0, -26.0, 16, "none")


def tone(seconds, rate=RATE, before=0.0, gain=0.2, hertz=200):
    time = np.arange(round(seconds * rate)) / rate
    quiet = np.zeros(round(before * rate), np.float32)
    return Sound(np.concatenate([quiet, (gain * np.sin(2 * np.pi * hertz * time)).astype(np.float32)]), rate)


def test_bounds_of_speech():
    first, stop = speech_bounds(tone(1.0, before=0.4))
    assert abs(first - 0.4 * RATE) <= 0.011 * RATE
    assert stop == 1.4 * RATE
    assert speech_bounds(Sound(np.zeros(500, np.float32), RATE)) == (0, 500)


def test_silence_level_and_length_are_the_chains():
    early, late = tone(1.5, before=0.0, gain=0.05), tone(2.5, 24_000, before=0.7, gain=0.5)
    count = length_for([early, late], PLAIN)
    assert count == round(1.45 * RATE)
    for number, sound in enumerate((early, late)):
        made, offset = sent_through(sound, PLAIN, count, seed=number)
        assert len(made) == count
        assert speech_bounds(made)[0] / RATE == pytest.approx(0.25, abs=0.015)
        assert active_level(made.samples, RATE) == pytest.approx(-26, abs=0.3)
        assert not np.any(np.convolve(made.samples == 0, np.ones(16), "valid") == 16)
        begin = speech_bounds(sound)[0] * RATE // sound.rate
        assert begin + offset == pytest.approx(0.25 * RATE, abs=0.011 * RATE)  # bounds are in steps of 10 ms


def test_noise_differs_between_members_and_repeats_by_seed():
    one, again, other = (sent_through(tone(1.5), PLAIN, 20_000, seed)[0].samples for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert np.corrcoef(one[:3000], other[:3000])[0, 1] < 0.2


@pytest.mark.parametrize("codec", ["mp3-32k", "opus-16k", "g711-mulaw"])
def test_codecs_and_rooms_do_not_move_speech(codec):
    chain = dataclasses.replace(PLAIN, codec=codec, room_seconds=0.3, rate=8000, bits=12)
    made, _ = sent_through(tone(1.5, before=0.2, hertz=700), chain, 24_000, 3)
    assert speech_bounds(made)[0] / RATE == pytest.approx(0.25, abs=0.03)
    power = np.abs(np.fft.rfft(made.samples)) ** 2
    hertz = np.fft.rfftfreq(len(made), 1 / RATE)
    assert power[hertz > 4400].sum() < 0.01 * power[hertz < 4000].sum()


def test_a_drawn_chain_repeats_and_has_known_values():
    chain = drawn_chain(np.random.default_rng(3), codecs=("none", "aac-32k"))
    assert chain == drawn_chain(np.random.default_rng(3), codecs=("none", "aac-32k"))
    assert chain.codec in ("none", "aac-32k")
    assert set(chain.facts()) == {field.name for field in dataclasses.fields(Chain)}


def test_speakers_are_split_whole():
    names = [f"r{number}" for number in range(10)]
    found = speaker_splits(names, seed=1)
    assert sorted(found) == sorted(names)
    assert [sum(split == each for split in found.values()) for each in ("train", "val", "test")] == [6, 2, 2]
    assert found == speaker_splits(reversed(names), seed=1)
    assert found != speaker_splits(names, seed=2)
    with pytest.raises(UsageError, match="cannot be split"):
        speaker_splits(["a", "b"], seed=1)
    with pytest.raises(UsageError, match="sum to one"):
        speaker_splits(names, fractions=(0.5, 0.2, 0.2), seed=1)


def record(speaker, split, **changes):
    facts = {
        "id": f"s/real/{speaker}{split}", "path": "media/real/a.flac", "sha256": "0" * 64, "content_sha256": "0" * 64,
        "label": "real", "kind": "real", "speaker": speaker, "split": split, "manipulation": None, "voice": None,
        "rights": "consent", "seconds": 2.0, "spans": (), "text": None, "parent": None, "source_sha256": "0" * 64,
    }  # fmt: skip
    return SpeechRecord(**{**facts, **changes})


def test_a_speaker_in_two_splits_is_a_leak():
    need_disjoint([record("a", "train"), record("b", "test"), record("a", "train")])
    with pytest.raises(LeakError, match="speaker a is in train and in test"):
        need_disjoint([record("a", "train"), record("a", "test")])


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "fake"},
        {"manipulation": "world"},
        {"spans": ((0, 5),)},
        {"label": "fake", "kind": "speech", "manipulation": "world", "spans": ((5, 9), (3, 12))},
        {"label": "fake", "kind": "speech", "manipulation": "world", "spans": ((0, 99_999),)},
    ],
)
def test_records_that_contradict_themselves_are_refused(changes):
    with pytest.raises(ValueError, match="s/real"):
        record("a", "train", **changes)


def test_light_chains_change_little_and_come_as_often_as_asked():
    drawn = [drawn_chain(np.random.default_rng(seed), light=0.5) for seed in range(200)]
    light = [chain for chain in drawn if chain.grade == "light"]
    assert 70 < len(light) < 130
    assert {(chain.room_seconds, chain.rate, chain.bits) for chain in light} == {(0.0, RATE, 16)}
    assert min(chain.noise_db for chain in light) >= 40
    assert len({chain.codec for chain in light}) > 4  # any codec still
    assert {drawn_chain(np.random.default_rng(seed)).grade for seed in range(30)} == {"full"}
