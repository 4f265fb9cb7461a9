"""A set of real and synthetic speech for measurement: readers apart, one chain for both classes, twins, partial fakes.

Real recordings are cut into pieces of 2.5 to 4 s. Twins are these pieces through a vocoder; partial fakes have half a
second of their twin in them. Engines read other sentences. Every piece, of either class, leaves by one chain: outer
silence trimmed alike, cut to a length from one distribution, a random level, a faint noise against digital silence, and
MP3 at 64 kbit/s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detect.speech.augment import at_level
from detect.speech.contract import RATE
from detect.speech.store import read_samples
from detect.speech.utterances import LIST_NAME, Part, SpeechList, Utterance, read_speech, write_speech
from forge.speaking import engines as _engines
from forge.speaking.contract import engine_named, say
from forge.speaking.partial import with_twin
from forge.speaking.vocoders import vocoded
from shared.audio.codecs import through_codec
from shared.audio.rates import change_rate
from shared.audio.sound import Sound, limited
from shared.audio.writing import write_sound
from shared.console import console
from shared.errors import UsageError

__all__ = ["CODEC", "ENGINES", "TWINS", "SetSizes", "build_set"]

ENGINES = ("espeak", "hibari", "piper")
TWINS = ("griffin-lim", "world")
CODEC = "mp3-64k"
"""That every piece went through."""

_NEEDED = _engines  # importing the package registers the engines
_WORD_SECONDS = 0.5
_SUBJECTS = (
    "The old captain", "My neighbour", "A young doctor", "The night train", "Every gardener", "Our teacher",
    "The quiet child", "Some farmers", "The new director", "Her cousin", "A tired painter", "The committee",
)  # fmt: skip
_VERBS = (
    "found", "carried", "described", "forgot about", "was looking for", "paid for", "returned", "waited beside",
    "talked about", "measured", "would not sell", "kept",
)  # fmt: skip
_OBJECTS = (
    "a box of letters", "the broken window", "seven green bottles", "an answer to the question", "the wooden bridge",
    "a map of the harbour", "the second chapter", "fresh bread and cheese", "the silver watch", "a heavy suitcase",
    "the garden wall", "two tickets to the concert",
)  # fmt: skip
_ENDS = (
    "before the storm began", "on the other side of town", "without saying a word", "early on Thursday morning",
    "because nobody else had time", "while the music was playing", "in the middle of winter",
    "near the railway station",
    "and laughed about it later", "as the newspaper had said", "just after lunch", "when the lights went out",
)  # fmt: skip


@dataclass(frozen=True)
class SetSizes:
    """Readers of each split, pieces of a reader, and fakes of each engine in each split."""

    readers: tuple[int, int, int] = (110, 40, 48)
    pieces: int = 2
    fakes: tuple[int, int, int] = (80, 30, 40)

    def scaled(self, share: float) -> SetSizes:
        """A smaller set, with at least eight of each."""

        def part(counts: tuple[int, int, int]) -> tuple[int, int, int]:
            train, val, test = (max(8, round(share * count)) for count in counts)
            return train, val, test

        return SetSizes(part(self.readers), self.pieces, part(self.fakes))


_SPLITS: tuple[Part, ...] = ("train", "val", "test")


def build_set(many: Path, ten: Path, out: Path, sizes: SetSizes, seed: int) -> SpeechList:
    """The set in ``out``; an earlier one there is used as it is.

    Args:
        many: folder of one recording of each of many readers.
        ten: folder of a folder a reader; these readers are all in the test split.
        out: receives ``speech.csv`` and the pieces.
        sizes: how much of each.
        seed: of all choices.

    Raises:
        UsageError: there are too few recordings, or an engine is missing.
    """
    if (out / LIST_NAME).is_file():
        return read_speech(out)
    for name in ENGINES:
        missing = engine_named(name).missing()
        if missing:
            raise UsageError(f"{name} cannot speak: {missing}", hint="pip install -e '.[dev]'")
    rng = np.random.default_rng(seed)
    utterances: list[Utterance] = []
    readers = _readers(many, ten, sizes, rng)
    total = sum(sizes.fakes) * len(ENGINES) + len(readers)
    with console.progress("making the set", total, unit="recording") as tick:
        for split in _SPLITS:
            reals = []
            for reader, files in [(name, files) for name, files, part in readers if part == split]:
                reals += list(_real_pieces(reader, files, split, out, sizes.pieces, rng))
                tick(1)
            utterances += [each for each, _ in reals]
            utterances += _twins(reals, split, out, sizes, rng)
            for engine in ENGINES:
                for each in _spoken(engine, split, out, sizes, rng):
                    utterances.append(each)
                    tick(1)
    write_speech(out / LIST_NAME, utterances)
    return read_speech(out)


def _readers(many: Path, ten: Path, sizes: SetSizes, rng: np.random.Generator) -> list[tuple[str, list[Path], Part]]:
    files = sorted(many.glob("*.flac"))
    test = {folder.name: sorted(folder.rglob("*.flac"))[:2] for folder in sorted(ten.iterdir()) if folder.is_dir()}
    single: dict[str, list[Path]] = {}
    for file in files:
        single.setdefault(file.stem.split("-")[0], []).append(file)
    names = [name for name in sorted(single) if name not in test]
    wanted = (sizes.readers[0], sizes.readers[1], max(0, sizes.readers[2] - len(test)))
    if len(names) < sum(wanted):
        raise UsageError(f"{many} has {len(names)} readers, this needs {sum(wanted)}", hint="name another folder")
    order = [names[int(place)] for place in rng.permutation(len(names))]
    found: list[tuple[str, list[Path], Part]] = [(name, paths, "test") for name, paths in test.items()]
    for split, count in zip(_SPLITS, wanted, strict=True):
        found += [(order.pop(), [], split) for _ in range(count)]
    return [(name, paths or single[name], split) for name, paths, split in found]


def _real_pieces(
    reader: str, files: Sequence[Path], split: Part, out: Path, pieces: int, rng: np.random.Generator
) -> Iterator[tuple[Utterance, np.ndarray]]:
    """Pieces of a reader: of one file ``pieces``, of several one each; the samples are those before the chain."""
    each = pieces if len(files) == 1 else 1
    for file in files:
        samples = read_samples(file)
        for number in range(each):
            length = int(rng.uniform(2.5, 4.0) * RATE)
            first = int(len(samples) * number / each)
            part = trimmed(samples[first : first + length + RATE // 2], rng)[:length]
            if len(part) < RATE:
                continue
            path = out / split / f"real-{reader}-{file.stem}-{number}.wav"
            _write(path, part, rng)
            yield Utterance(path, False, reader, codec=CODEC, split=split), part


def _twins(
    reals: Sequence[tuple[Utterance, np.ndarray]], split: Part, out: Path, sizes: SetSizes, rng: np.random.Generator
) -> list[Utterance]:
    """Twins by each vocoder, and half as many partial fakes by each."""
    found = []
    count = sizes.fakes[_SPLITS.index(split)]
    for name in TWINS:
        chosen = rng.permutation(len(reals))[:count]
        for number, place in enumerate(console.track(chosen, f"{name}, {split}", len(chosen), unit="twin")):
            real, samples = reals[int(place)]
            recording = Sound(limited(samples), RATE)
            twin = vocoded(recording, name, seed=int(place))
            stem = real.path.stem.removeprefix("real-")
            path = out / split / f"{name}-{stem}.wav"
            _write(path, twin.samples, rng)
            found.append(Utterance(path, True, real.speaker, name, CODEC, split, parent=real.path.name))
            if number % 2:
                continue
            first = int(rng.integers(int(0.3 * RATE), len(samples) - int((_WORD_SECONDS + 0.2) * RATE)))
            span = (first, first + int(_WORD_SECONDS * RATE))
            path = out / split / f"partial-{name}-{stem}.wav"
            _write(path, with_twin(recording, twin, [span]).sound.samples, rng)
            seconds = ((round(span[0] / RATE, 4), round(span[1] / RATE, 4)),)
            found.append(Utterance(path, True, real.speaker, f"partial-{name}", CODEC, split, seconds, real.path.name))
    return found


def _spoken(engine: str, split: Part, out: Path, sizes: SetSizes, rng: np.random.Generator) -> Iterator[Utterance]:
    """Sentences read by the voices of an engine; where it has several, those of the splits are apart."""
    voices = engine_named(engine).voices()
    place = _SPLITS.index(split)
    mine = voices if len(voices) < 3 else [voice for number, voice in enumerate(voices) if _split_of(number) == place]
    for number in range(sizes.fakes[place]):
        voice = mine[number % len(mine)]
        spoken = say(sentence(rng), engine=engine, voice=voice, seed=int(rng.integers(1 << 30)))
        samples = change_rate(spoken.sound.samples, spoken.sound.rate, RATE)
        part = trimmed(samples, rng)[: int(rng.uniform(2.5, 4.0) * RATE)]
        path = out / split / f"{engine}-{number:03d}.wav"
        _write(path, part, rng)
        yield Utterance(path, True, f"{engine} {voice}", engine, CODEC, split)


def _split_of(number: int) -> int:
    """Of eight voices, five train, one val, two test."""
    return (0, 0, 2, 0, 1, 0, 2, 0)[number % 8]


def sentence(rng: np.random.Generator) -> str:
    """One of 20,736 sentences."""
    words = [part[int(rng.integers(len(part)))] for part in (_SUBJECTS, _VERBS, _OBJECTS, _ENDS)]
    return f"{' '.join(words)}."


def trimmed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``samples`` without outer silence (30 dB below the loudest 20 ms), but for up to 0.1 s in front."""
    step = RATE // 50
    power = (samples[: len(samples) // step * step].reshape(-1, step).astype(np.float64) ** 2).mean(1)
    loud = np.flatnonzero(power >= power.max() * 1e-3)
    first = max(0, int(loud[0]) * step - int(rng.uniform(0, 0.1) * RATE))
    return samples[first : (int(loud[-1]) + 1) * step]


def _write(path: Path, samples: np.ndarray, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    level = float(rng.uniform(-32, -20))
    noise = rng.normal(size=len(samples)) * 10 ** (float(rng.uniform(level - 55, level - 35)) / 20)
    mixed = limited(at_level(np.asarray(samples, np.float64), level) + noise)
    write_sound(path, through_codec(Sound(mixed, RATE), CODEC))
