"""Verdicts of ``assay inspect`` on real clips: how many are called fake, inconclusive, not validated, and real."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.schema import Measurement
from detect.inspection.inspect import inspect_file
from shared.console import console
from shared.errors import AssayError, UsageError
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
    counts = Counter(verdicts.values())
    found = [
        Measurement.of(
            f"real clips called {verdict}",
            "clips",
            [float(counts[verdict])],
            better="higher" if verdict == "real" else "lower",
            target=0.0 if verdict == "fake" else None,
            note=f"of {len(clips)}",
        )
        for verdict in VERDICTS
    ]
    return found, verdicts
