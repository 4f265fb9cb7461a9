"""Extraction of a voiceset from recordings of one person: where speech is, cut at pauses, checked and written."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from shared.audio.loudness import active_level
from shared.audio.reading import read_sound
from shared.audio.sound import SOUND_SUFFIXES, WORK_RATE, Sound, clipped_share, is_silent
from shared.audio.speech import CHUNK_SECONDS, SpeechSettings, speech_probabilities, speech_spans
from shared.audio.writing import write_sound
from shared.config import write_toml
from shared.console import console
from shared.errors import MediaError, UsageError, VoicesetError
from shared.marking.payload import FAKE_KINDS
from shared.marking.sound import read_sound_mark
from shared.provenance.read import read_provenance
from shared.storage import replacing_folder, sha256_file
from shared.video.unread import Unread
from shared.voices.layout import (
    MOST_TEXT,
    MOST_UTTERANCES,
    SETTINGS,
    SOUNDS,
    TABLE,
    ExtractSettings,
    SourceSound,
    Utterance,
    VoicesetInfo,
    sound_name,
)

RECORDING_SUFFIXES = SOUND_SUFFIXES | {".mp4", ".mov", ".mkv", ".webm", ".mpg", ".avi"}
"""File suffixes of what is read in a folder."""

_MARK_SECONDS = 8.0
_MARK_PLACES = 3


def sounds_in(paths: Sequence[Path]) -> list[Path]:
    """The given files, and the sound and video files directly in the given folders, by name.

    Raises:
        UsageError: a folder holds none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.iterdir() if each.suffix.lower() in RECORDING_SUFFIXES)
            if not inside:
                raise UsageError(f"{path} holds no recordings", hint="name a folder of sound or video files")
            found += inside
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def extract_voice(
    recordings: Sequence[Path],
    out: Path,
    settings: ExtractSettings,
    *,
    texts: Mapping[str, str] | None = None,
    force: bool = False,
) -> VoicesetInfo:
    """Writes the speech in ``recordings``, all of one person, as the voiceset ``out``.

    Speech is cut at pauses into utterances. A recording whose text is known is one utterance, cut to its speech. A
    recording that cannot be read, or holds no speech, is named in ``unread``, and the others are used. An existing
    voiceset is replaced only with ``force``, and only once the new one is complete.

    Args:
        recordings: sound or video files, or folders of them.
        out: the folder of the voiceset.
        settings: who speaks, the rights, and what an utterance is.
        texts: what is said, by a recording's file name without its suffix.
        force: replace an existing voiceset.

    Raises:
        UsageError: no recordings, or ``out`` is taken.
        MediaError: no recording can be read.
        VoicesetError: no recording holds an utterance that can be used.
        StorageError: writing failed.
    """
    check_target(out, force=force)
    paths = sounds_in(recordings)
    if not paths:
        raise UsageError("no recordings are named", hint="name sound or video files")
    writing = _Writing(settings, dict(texts or {}))
    with replacing_folder(out) as draft:
        (draft / SOUNDS).mkdir()
        with console.progress("extracting speech", len(paths), unit="recording") as tick:
            for path in paths:
                with writing.unread.passing_over(path):
                    writing.add(path, draft)
                tick()
        writing.unread.need_some(len(writing.sources))
        info = writing.finish(draft, out)
    return info


def check_target(out: Path, *, force: bool) -> None:
    """Refuses to overwrite anything but a voiceset, or, without ``force``, anything.

    Raises:
        UsageError: ``out`` is taken.
    """
    if not out.exists() and not out.is_symlink():
        return
    if out.is_dir() and not any(out.iterdir()):
        return
    if not (out / SETTINGS).is_file():
        raise UsageError(f"{out} is there and is not a voiceset", hint="choose another --out")
    if not force:
        raise UsageError(f"{out} is there already", hint="choose another --out, or --force to replace it")


class _Writing:
    """The utterances written so far, and what was left out."""

    def __init__(self, settings: ExtractSettings, texts: Mapping[str, str]) -> None:
        self.settings, self.texts = settings, texts
        self.sources: list[SourceSound] = []
        self.unread = Unread(MediaError)
        self.utterances: list[Utterance] = []
        self.left_out: Counter[str] = Counter()
        self._seen: set[str] = set()

    def add(self, path: Path, draft: Path) -> None:
        """Writes the utterances of one recording.

        Raises:
            MediaError: it cannot be read, holds no speech, has too low a rate or is there twice.
        """
        sound = read_sound(path)
        assert sound.source is not None
        if sound.source.rate < self.settings.lowest_rate:
            raise MediaError(
                f"{path} has {sound.source.rate} samples a second",
                hint=f"a voice needs at least {self.settings.lowest_rate:,}",
            )
        if is_silent(sound.samples):
            raise MediaError(f"{path} is silent", hint="name a recording of speech")
        digest = sha256_file(path)
        if digest in self._seen:
            raise MediaError(f"{path} is the same file as another one", hint="name it once")
        text = self.texts.get(path.stem)
        spans = self._spans(sound, text)
        if not spans:
            raise MediaError(f"{path} holds no speech", hint="name a recording of speech")
        source = _source_of(path, digest, sound, [first for first, _ in spans])
        self._seen.add(digest)
        self.sources.append(source)
        for first, stop in spans:
            self._write(sound, first, stop, text, draft)

    def _spans(self, sound: Sound, text: str | None) -> list[tuple[int, int]]:
        if text is None:
            return _cut_to_length(sound, speech_spans(sound), self.settings.longest_seconds)
        spans = speech_spans(sound, SpeechSettings(pause_seconds=3600))
        return spans[:1]

    def _write(self, sound: Sound, first: int, stop: int, text: str | None, draft: Path) -> None:
        samples = sound.samples[first:stop]
        level = active_level(samples, sound.rate)
        seconds = len(samples) / sound.rate
        reason = self._reason(samples, seconds, level, text)
        if reason or level is None:
            self.left_out[reason or "too quiet"] += 1
            return
        name = sound_name(len(self.utterances))
        write_sound(draft / name, sound.cut(first, stop))
        start = sound.time_of(first)
        self.utterances.append(
            Utterance(
                name,
                sha256_file(draft / name),
                len(self.sources) - 1,
                f"{start.numerator}/{start.denominator}",
                seconds,
                round(level, 2),
                None if text is None else text[:MOST_TEXT],
            )
        )

    def _reason(self, samples: np.ndarray, seconds: float, level: float | None, text: str | None) -> str:
        most = 60.0 if text is not None else self.settings.longest_seconds + 1
        if seconds < self.settings.shortest_seconds:
            return "too short"
        if seconds > most:
            return "too long"
        if level is None or level < self.settings.quietest_db:
            return "too quiet"
        if clipped_share(samples) > self.settings.most_clipped:
            return "clipped"
        return "too many" if len(self.utterances) >= MOST_UTTERANCES else ""

    def finish(self, draft: Path, out: Path) -> VoicesetInfo:
        """Writes the table and the facts.

        Raises:
            VoicesetError: there is no utterance.
        """
        if not self.utterances:
            why = ", ".join(f"{count} {reason}" for reason, count in self.left_out.most_common())
            raise VoicesetError(f"no utterance for {out} can be used: {why}", hint="name better recordings")
        table = b"".join(msgspec.json.encode(one) + b"\n" for one in self.utterances)
        (draft / TABLE).write_bytes(table)
        info = VoicesetInfo(
            identity=self.settings.identity,
            rights=self.settings.rights,
            sources=tuple(self.sources),
            utterances=len(self.utterances),
            seconds=round(sum(one.seconds for one in self.utterances), 3),
            rate=WORK_RATE,
            table_sha256=hashlib.sha256(table).hexdigest(),
            left_out=dict(self.left_out),
            unread=self.unread.reasons,
        )
        write_toml(draft / SETTINGS, info)
        return info


def _source_of(path: Path, digest: str, sound: Sound, starts: Sequence[int]) -> SourceSound:
    assert sound.source is not None
    source = SourceSound(
        path.name, digest, round(sound.seconds, 3), sound.source.rate, sound.source.channels, sound.source.codec
    )
    return dataclasses.replace(source, synthetic=says_synthetic(path, sound, starts))


def says_synthetic(path: Path, sound: Sound, starts: Sequence[int] = (0,)) -> bool:
    """Whether a recording's signature, or the mark in its speech, says that a model made it.

    Args:
        path: of the recording.
        sound: its samples.
        starts: where stretches of speech start; the mark is searched for at the first, middle and last one.

    Raises:
        MediaError: it carries the mark of a set, and no valid signature says whether it is real.
    """
    known = read_provenance(path)
    if known is not None and (known.says_fake or str((known.record or {}).get("kind", "")) in FAKE_KINDS):
        return True
    kinds = _mark_kinds(sound, starts)
    if "set" in kinds and (known is None or not known.valid):
        raise MediaError(
            f"{path} carries the mark of a set, and no valid signature says whether it is real",
            hint="use the recording that the set was made from, or the set's own signed file",
        )
    return not kinds.isdisjoint(FAKE_KINDS)


def _mark_kinds(sound: Sound, starts: Sequence[int]) -> set[str]:
    """The kinds of the marks at the first, middle and last of ``starts``; the search ends at the first mark."""
    size = round(_MARK_SECONDS * sound.rate)
    chosen = [starts[round(share * (len(starts) - 1) / (_MARK_PLACES - 1))] for share in range(_MARK_PLACES)]
    places = dict.fromkeys(min(first, max(0, len(sound) - size)) for first in chosen)
    for first in places:
        mark = read_sound_mark(sound.samples[first : first + size], sound.rate, speeds=(1.0,))
        if mark.payload is not None:
            return {mark.payload.kind}
    return set()


def _cut_to_length(sound: Sound, spans: Sequence[tuple[int, int]], longest: float) -> list[tuple[int, int]]:
    """Spans of at most ``longest`` seconds: longer ones are cut where speech is least likely."""
    most = round(longest * sound.rate)
    if all(stop - first <= most for first, stop in spans):
        return list(spans)
    chance = speech_probabilities(sound)
    chunk = CHUNK_SECONDS * sound.rate
    waiting, done = list(reversed(spans)), []
    while waiting:
        first, stop = waiting.pop()
        if stop - first <= most:
            done.append((first, stop))
            continue
        # Neither part becomes a splinter: the cut lies in the middle half of what may be one utterance.
        low, high = (round((first + share * min(stop - first, 2 * most)) / chunk) for share in (0.25, 0.5))
        cut = round((low + int(np.argmin(chance[low : high + 1])) + 0.5) * chunk)
        waiting += [(cut, stop), (first, cut)]
    return done
