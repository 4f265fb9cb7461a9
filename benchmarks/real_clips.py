"""Verdicts on real clips and on real sound: how many are called fake, inconclusive, not validated, and real."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.schema import Measurement
from detect.inspection.inspect import inspect_file
from detect.speech.checkpoint import load_speech
from detect.speech.score import score_sound
from detect.speech.store import read_samples
from shared.audio.sound import SOUND_SUFFIXES
from shared.console import console
from shared.errors import AssayError, MediaError, UsageError
from shared.video.container import VIDEO_SUFFIXES

VERDICTS = ("fake", "inconclusive", "not validated", "real")


def clips_under(folders: Sequence[Path]) -> list[Path]:
    """All videos in ``folders`` and the folders within them, by name.

    Raises:
        UsageError: there is none.
    """
    found = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise UsageError(f"no video in {', '.join(map(str, folders))}", hint="name folders of real clips")
    return found


def measure(
    clips: Sequence[Path], detector: Path, *, finder: str, device: str
) -> tuple[list[Measurement], dict[str, str]]:
    """Counts of the verdicts, and the verdict on each clip by name; that of an unreadable clip is the error."""
    verdicts: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, clip in enumerate(console.track(clips, "inspecting", len(clips), unit="clip")):
            name = f"{clip.parent.name}/{clip.name}"
            try:
                report = inspect_file(clip, detector, Path(folder) / str(number), finder=finder, device=device)
            except AssayError as error:
                verdicts[name] = f"error: {error}"
            else:
                verdicts[name] = report.verdict
    return _counted(verdicts, "clips"), verdicts


def sounds_under(folders: Sequence[Path]) -> list[Path]:
    """All videos and sound files in ``folders`` and the folders within them, by name.

    Raises:
        UsageError: there is none.
    """
    suffixes = {*VIDEO_SUFFIXES, *SOUND_SUFFIXES}
    found = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    if not found:
        raise UsageError(f"no sound in {', '.join(map(str, folders))}", hint="name folders of real recordings")
    return found


def measure_sounds(files: Sequence[Path], detector: str | Path) -> tuple[list[Measurement], dict[str, str]]:
    """Counts of the verdicts of a detector of speech, and verdict, score and reasons of each file with sound."""
    model = load_speech(detector)
    verdicts: dict[str, str] = {}
    told: dict[str, str] = {}
    for path in console.track(files, "scoring", len(files), unit="file"):
        name = f"{path.parent.name}/{path.name}"
        try:
            found = score_sound(model, read_samples(path)).result
        except MediaError:
            continue  # a clip without sound
        verdicts[name] = found.verdict
        score = "" if found.logit is None else f", {found.logit - found.threshold:+.2f} to the threshold"
        told[name] = f"{found.verdict}{score}{''.join(f'; {each.text}' for each in found.outside)}"
    return _counted(verdicts, "sounds"), told


def _counted(verdicts: Mapping[str, str], what: str) -> list[Measurement]:
    counts = Counter(verdicts.values())
    return [
        Measurement.of(
            f"real {what} called {verdict}",
            what,
            [float(counts[verdict])],
            better="higher" if verdict == "real" else "lower",
            target=0.0 if verdict == "fake" else None,
            note=f"of {len(verdicts)}",
        )
        for verdict in VERDICTS
    ]
