"""Head pose coverage: the poses of each identity, and the poses of a target that a source lacks.

A decoder generates only poses it was trained on. dfaker looked for gaps between two identities; this for any.

Convention:
    bin: 10 degrees of yaw by 10 of pitch, named by its centre; signs as in :mod:`shared.faces.pose`
    covered: a target's face whose bin, or one beside it, holds a face of the source
    overlap: sum over bins of the smaller of both identities' shares, 0 to 1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from scipy.ndimage import binary_dilation

from shared.console import counted
from shared.errors import UsageError
from shared.faces.facesets.reader import Faceset
from shared.plots import figure, png
from shared.storage import write_bytes, write_text

_BIN_DEGREES = 10
_REACH_DEGREES = 90
_SIDE = 2 * _REACH_DEGREES // _BIN_DEGREES
_MOST_GAPS = 8
_POOR = 0.9
_MOST_PICTURED = 12


@dataclass(frozen=True)
class Gap:
    """Poses of a target that a source lacks: centre of the bin, and the number of the target's faces in it."""

    yaw_degrees: float
    pitch_degrees: float
    faces: int


@dataclass(frozen=True)
class PairCoverage:
    """Coverage of the poses of ``target`` by those of ``source``, see the module. ``gaps``: the largest eight."""

    source: str
    target: str
    covered: float
    overlap: float
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, eq=False)
class Person:
    """Pose histogram of one identity: ``counts`` (18, 18) faces by pitch and yaw; quantiles are the 5th and 95th."""

    identity: str
    faces: int
    yaw_range: tuple[float, float]
    pitch_range: tuple[float, float]
    counts: np.ndarray


@dataclass(frozen=True, eq=False)
class Coverage:
    """Pose histograms of all identities, and coverage of all ordered pairs, the worst first."""

    people: tuple[Person, ...]
    pairs: tuple[PairCoverage, ...]

    def short(self) -> str:
        """A summary of a few lines: the pairs, the worst first, and the largest gap of the worst."""
        lines = [
            f"poses of {pair.target} that {pair.source} has: {100 * pair.covered:.0f} %{_gap_words(pair)}"
            for pair in self.pairs[:6]
        ]
        return "\n".join(lines)

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Source, target, covered, overlap and the largest gap, as text."""
        return [
            (pair.source, pair.target, f"{100 * pair.covered:.1f} %", f"{pair.overlap:.2f}", _gap_words(pair)[2:])
            for pair in self.pairs
        ]

    def document(self) -> dict[str, object]:
        """As plain values, for JSON."""
        people = [
            {
                "identity": one.identity,
                "faces": one.faces,
                "yaw_degrees": one.yaw_range,
                "pitch_degrees": one.pitch_range,
            }
            for one in self.people
        ]
        return {"bin_degrees": _BIN_DEGREES, "people": people, "pairs": msgspec.to_builtins(self.pairs)}


def cover(facesets: Sequence[Faceset]) -> Coverage:
    """Compares the head poses of all facesets' kept faces with each other.

    Raises:
        UsageError: fewer than two facesets.
    """
    if len(facesets) < 2:
        raise UsageError(f"poses are compared between two or more people, got {len(facesets)}", hint="name another")
    people = [person(faceset.info.identity, *_poses(faceset)) for faceset in facesets]
    pairs = [compare(source, target) for source in people for target in people if source is not target]
    return Coverage(tuple(people), tuple(sorted(pairs, key=lambda pair: pair.covered)))


def person(identity: str, yaw: np.ndarray, pitch: np.ndarray) -> Person:
    """The histogram of poses ``yaw`` and ``pitch`` (N,), in degrees; values beyond 90 count in the outermost bins."""
    columns, rows = (np.clip((angle // _BIN_DEGREES) + _SIDE // 2, 0, _SIDE - 1).astype(int) for angle in (yaw, pitch))
    counts = np.zeros((_SIDE, _SIDE), np.int64)
    np.add.at(counts, (rows, columns), 1)
    return Person(identity, len(yaw), _span(yaw), _span(pitch), counts)


def compare(source: Person, target: Person) -> PairCoverage:
    """Coverage of the poses of ``target`` by those of ``source``."""
    known = binary_dilation(source.counts > 0, np.ones((3, 3)))
    lacking = np.where(known, 0, target.counts)
    total = max(int(target.counts.sum()), 1)
    largest = np.argsort(lacking, axis=None, kind="stable")[::-1][:_MOST_GAPS]
    places = [np.unravel_index(place, lacking.shape) for place in largest]
    gaps = tuple(
        Gap(_middle(int(column)), _middle(int(row)), int(lacking[row, column]))
        for row, column in places
        if lacking[row, column]
    )
    shares = [one.counts / max(int(one.counts.sum()), 1) for one in (source, target)]
    overlap = float(np.minimum(*shares).sum())
    return PairCoverage(source.identity, target.identity, 1 - int(lacking.sum()) / total, overlap, gaps)


def write_coverage(report: Coverage, folder: Path) -> None:
    """Writes ``coverage.json`` and ``coverage.png`` into ``folder``.

    Raises:
        StorageError: writing failed.
    """
    write_text(folder / "coverage.json", msgspec.json.format(msgspec.json.encode(report.document())).decode() + "\n")
    write_bytes(folder / "coverage.png", coverage_plot(report))


def coverage_plot(report: Coverage) -> bytes:
    """A PNG of the pose histograms, darker bins hold more faces. Twelve identities at most."""
    shown = report.people[:_MOST_PICTURED]
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    reach = (-_REACH_DEGREES, _REACH_DEGREES, -_REACH_DEGREES, _REACH_DEGREES)
    with figure(3 * columns, 3 * rows, dpi=100, style={}) as plot:
        for place, one in enumerate(shown):
            axes = plot.add_subplot(rows, columns, place + 1)
            axes.imshow(np.sqrt(one.counts), origin="lower", extent=reach, cmap="Blues")
            title = f"{one.identity}, {counted(one.faces, 'face')}"
            axes.set(title=title, xlabel="yaw", ylabel="pitch", xlim=(-60, 60), ylim=(-50, 50))
            axes.grid(alpha=0.2)
        return png(plot)


def _poses(faceset: Faceset) -> tuple[np.ndarray, np.ndarray]:
    rows = faceset.rows()
    yaw, pitch = (faceset.table.column(f"{name}_degrees").to_numpy()[rows] for name in ("yaw", "pitch"))
    good = np.isfinite(yaw) & np.isfinite(pitch)
    return yaw[good], pitch[good]


def _middle(index: int) -> float:
    return (index - _SIDE // 2 + 0.5) * _BIN_DEGREES


def _span(angles: np.ndarray) -> tuple[float, float]:
    if not len(angles):
        return (0.0, 0.0)
    low, high = np.percentile(angles, [5, 95])
    return (round(float(low), 1), round(float(high), 1))


def _gap_words(pair: PairCoverage) -> str:
    """The largest gap as text that begins with a comma; empty for small ones."""
    if not pair.gaps or pair.covered > _POOR:
        return ""
    gap = pair.gaps[0]
    return f", lacking most: {counted(gap.faces, 'face')} at yaw {gap.yaw_degrees:+.0f}, pitch {gap.pitch_degrees:+.0f}"
