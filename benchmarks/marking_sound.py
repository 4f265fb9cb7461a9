"""How well the sound mark survives, and how often unmarked speech is read as marked."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream

from benchmarks.marking import Survival
from benchmarks.schema import Measurement
from shared.audio.reading import decode_sound
from shared.marking.payload import Payload
from shared.marking.sound import mark_sound, read_sound_mark
from shared.video.container import created

_PAYLOAD = Payload.of("swap", "5eed15")
_SECONDS = 8


def through_codec(sound: np.ndarray, rate: int, codec: str, bits: int, container: str) -> tuple[np.ndarray, int]:
    """A mono sound, encoded and decoded."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"sound.{container}"
        _encode(path, sound, rate, codec, bits)
        return decode_sound(path)


def _encode(path: Path, sound: np.ndarray, rate: int, codec: str, bits: int) -> None:
    with created(path) as out:
        stream = out.add_stream(codec, rate=48_000 if codec == "libopus" else rate)
        assert isinstance(stream, AudioStream)
        stream.bit_rate = bits
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), "flt", "mono")
        frame.sample_rate, frame.pts = rate, 0
        shaped = av.AudioResampler(stream.format.name, "mono", stream.rate, stream.codec_context.frame_size or 1024)
        for piece in (*shaped.resample(frame), *shaped.resample(None)):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))


Change = Callable[[np.ndarray, int], tuple[np.ndarray, int]]


def _faster(sound: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    places = np.arange(0, len(sound) - 1, 1.05)
    return np.interp(places, np.arange(len(sound)), sound).astype(np.float32), rate


CASES: dict[str, Change] = {
    "unchanged, 8 s": lambda sound, rate: (sound, rate),
    "cut to 3 s": lambda sound, rate: (sound[rate : 4 * rate], rate),
    "cut to 1 s": lambda sound, rate: (sound[2 * rate : 3 * rate], rate),
    "MP3 64 kbit/s": lambda sound, rate: through_codec(sound, rate, "libmp3lame", 64_000, "mp3"),
    "AAC 64 kbit/s": lambda sound, rate: through_codec(sound, rate, "aac", 64_000, "mp4"),
    "Opus 24 kbit/s": lambda sound, rate: through_codec(sound, rate, "libopus", 24_000, "ogg"),
    "5 % faster": _faster,
}


def sound_survival(media: Path | None, *, most: int, minutes: float) -> list[Measurement]:
    """Every case of recorded speech, one utterance a reader, and the same recordings unmarked."""
    if media is None:
        return []
    paths = sorted((media / "speech" / "many").glob("*.flac"))[:most]
    table, alarms, ratios = Survival(), [], []
    ends = time.monotonic() + 60 * minutes
    for path in paths:
        if time.monotonic() > ends:
            break
        sound, rate = decode_sound(path)
        sound = sound[: _SECONDS * rate].mean(axis=1)
        if len(sound) < _SECONDS * rate:
            continue
        marked = mark_sound(sound, rate, _PAYLOAD)
        ratios.append(10 * np.log10(float(np.sum(sound**2)) / float(np.sum((marked - sound) ** 2))))
        alarms.append(read_sound_mark(sound[: 4 * rate], rate).found)
        for case, change in CASES.items():
            reading = read_sound_mark(*change(marked, rate))
            found = reading.payload == _PAYLOAD
            table.add(f"sound, {case}", found, 1 - (reading.bit_error_rate or 0) if found else None)
    if not alarms:
        return []
    return [
        *table.measurements(),
        Measurement.of("unmarked speech read as marked", "clips", [float(sum(alarms))], target=0, better="lower",
                       note=f"of {len(alarms)}"),
        Measurement.of("sound over the change of the mark", "dB", [float(ratio) for ratio in ratios]),
    ]  # fmt: skip
