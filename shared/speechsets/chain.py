"""What every recording of a group goes through, real or fake, before it becomes a file of a set.

A group is a real recording and the fakes made from it or beside it. One chain is drawn for the whole group: how much
silence is in front, length, rate history, room, noise, level, bits and codec. So none of these tells the classes apart.
Silence is never digital: room noise of the same level lies under every sample.

(That leading silence alone reaches 85 % on ASVspoof: Mueller et al., ASVspoof workshop 2021.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, lfilter, sosfiltfilt

from shared.audio.codecs import CODECS, through_codec, with_bits, with_rate_history
from shared.audio.loudness import active_level, levelled
from shared.audio.rates import resampled
from shared.audio.rooms import in_room
from shared.audio.sound import Sound, limited
from shared.speechsets.layout import RATE

_HISTORIES = (8_000, 11_025, 12_000, RATE, RATE)
_BITS = (8, 12, 16, 16)
_ONSET_DB = 35.0
_ONSET_SECONDS = 0.01
_MOST_LEAD = 0.5
_ENDING_SECONDS = 0.3
_LEAST_SECONDS = 0.5
_LOWEST_HZ = 40.0


@dataclass(frozen=True)
class Chain:
    """One drawn chain.

    Attributes:
        lead_seconds: from the first sample to where speech begins.
        most_seconds: longest length; shorter recordings of a group set it.
        rate: the lowest rate that it had on its way.
        room_seconds: reverberation time, 0 for no room.
        direct_db: level of the direct sound over the room's tail.
        noise_db: level of the noise, in dB below speech.
        level_db: of the speech, in dB of full scale.
        bits: of a sample.
        codec: of ``shared.audio.codecs``.
        grade: "light" or "full", see :func:`drawn_chain`.
    """

    lead_seconds: float
    most_seconds: float
    rate: int
    room_seconds: float
    direct_db: float
    noise_db: float
    level_db: float
    bits: int
    codec: str
    grade: str = "full"

    def facts(self) -> dict[str, str]:
        """For the record."""
        return {name: f"{value:.3f}" if isinstance(value, float) else str(value) for name, value in vars(self).items()}


def drawn_chain(
    rng: np.random.Generator,
    *,
    codecs: tuple[str, ...] = tuple(CODECS),
    most_seconds: float = 6.0,
    light: float = 0.0,
) -> Chain:
    """A random chain, with a chance of ``light`` a light one: one codec, and noise 40 to 60 dB below speech.

    Half of the others, the full ones, have a room; they change rates and bits and have more noise, so that many of them
    leave little of the traces of synthesis.
    """
    if light and rng.random() < light:
        return Chain(
            lead_seconds=float(rng.uniform(0.03, _MOST_LEAD)),
            most_seconds=most_seconds,
            rate=RATE,
            room_seconds=0.0,
            direct_db=0.0,
            noise_db=float(rng.uniform(40, 60)),
            level_db=float(rng.uniform(-32, -20)),
            bits=16,
            codec=str(rng.choice(list(codecs))),
            grade="light",
        )
    room = float(rng.uniform(0.1, 0.5)) if rng.random() < 0.5 else 0.0
    return Chain(
        lead_seconds=float(rng.uniform(0.03, _MOST_LEAD)),
        most_seconds=most_seconds,
        rate=int(rng.choice(_HISTORIES)),
        room_seconds=room,
        direct_db=float(rng.uniform(0, 12)),
        noise_db=float(rng.uniform(25, 50)),
        level_db=float(rng.uniform(-32, -20)),
        bits=int(rng.choice(_BITS)),
        codec=str(rng.choice(list(codecs))),
    )


def speech_bounds(sound: Sound) -> tuple[int, int]:
    """First and stop sample of what is less than 35 dB below the loud parts; the whole of a silent sound."""
    size = round(_ONSET_SECONDS * sound.rate)
    level = active_level(sound.samples, sound.rate)
    count = len(sound) // size
    if level is None or not count:
        return 0, len(sound)
    power = np.mean(sound.samples[: count * size].reshape(count, size).astype(np.float64) ** 2, axis=1)
    loud = np.flatnonzero(10 * np.log10(power + 1e-12) > level - _ONSET_DB)
    if not len(loud):
        return 0, len(sound)
    return int(loud[0]) * size, min(len(sound), (int(loud[-1]) + 1) * size)


def length_for(sounds: list[Sound], chain: Chain) -> int:
    """Samples that every recording of a group gets: what the shortest speech of them fills, at most the chain's.

    Its last .3 s are left out: speech that ends by itself and speech that is cut off would tell the two apart.
    """
    spoken = []
    for sound in sounds:
        first, stop = speech_bounds(sound)
        spoken.append((stop - first) / sound.rate)
    shortest = max(min(spoken) - _ENDING_SECONDS, _LEAST_SECONDS)
    return round(min(chain.most_seconds, chain.lead_seconds + shortest) * RATE)


def sent_through(sound: Sound, chain: Chain, count: int, seed: int) -> tuple[Sound, int]:
    """A recording after the chain, ``count`` samples at 16 kHz, and where its own first sample came to lie.

    The noise under it has the same seed for a whole group, but is drawn anew for each of its recordings by the caller's
    ``seed``: equal noise in two recordings would link them.

    Args:
        sound: the recording.
        chain: of its group.
        count: of :func:`length_for`.
        seed: of its noise, dither and room.

    Returns:
        The sound, and the offset: sample ``i`` of the recording at 16 kHz is sample ``i + offset`` of the result.
    """
    rng = np.random.default_rng(seed)
    work = _without_offset(resampled(sound, RATE))
    first, _ = speech_bounds(work)
    offset = round(chain.lead_seconds * RATE) - first
    placed = np.zeros(count, np.float32)
    begin, source = max(0, offset), max(0, -offset)
    # What lies before the speech in the recording is its own silence; it goes, because each source has another one.
    begin, source = begin + max(0, first - source), first
    piece = work.samples[source : source + count - begin]
    placed[begin : begin + len(piece)] = _faded_in(piece)
    now = Sound(levelled(placed, RATE, chain.level_db), RATE)
    now = with_rate_history(now, chain.rate)
    if chain.room_seconds:
        now = in_room(now, chain.room_seconds, chain.direct_db, rng)
    level = active_level(now.samples, RATE)
    noise = room_noise(count, rng) * 10 ** (((level if level is not None else chain.level_db) - chain.noise_db) / 20)
    now = with_rate_history(Sound(limited(now.samples + noise), RATE), chain.rate)
    now = with_bits(now, chain.bits, rng)
    now = through_codec(now, chain.codec)
    return Sound(levelled(now.samples, RATE, chain.level_db), RATE), offset


def _without_offset(sound: Sound) -> Sound:
    """The sound without what lies below 40 Hz: an engine's constant offset, a room's rumble."""
    filters = butter(2, _LOWEST_HZ, "highpass", fs=sound.rate, output="sos")
    return sound.with_samples(sosfiltfilt(filters, sound.samples, padlen=min(len(sound) - 1, 2000)))


def room_noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) float64 of root mean square 1: noise that falls by about 6 dB an octave, as rooms have."""
    noise = np.asarray(lfilter([1.0], [1.0, -0.9], rng.normal(size=count + 400)))[400:]
    return noise / (float(np.std(noise)) or 1.0) if count else noise


def _faded_in(piece: np.ndarray) -> np.ndarray:
    count = min(len(piece) // 2, round(0.005 * RATE))
    faded = piece.copy()
    if count:
        ramp = (np.arange(count) / count).astype(np.float32)
        faded[:count] *= ramp
        faded[len(faded) - count :] *= ramp[::-1]
    return faded
