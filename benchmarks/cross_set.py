"""A small test set that shares no people and no swapper families with any training set.

Uses the public command line, so every printed line can be repeated. Every clip is cut to its first frames, stored
losslessly, and then listed as it is and as swapped by each swapper, with alternating blend methods, at one crf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from benchmarks.typed import do
from forge.building.steps import fitted
from shared.dataset import DatasetFolder
from shared.errors import UsageError
from shared.video import Encoding, VideoReader, VideoWriter, probe
from shared.video.renditions import on_clock, resized_picture

PASTES: tuple[tuple[str, ...], ...] = (
    ("--color", "lct", "--blend", "alpha", "--sharpen", "2"),
    ("--color", "mean-std", "--blend", "poisson", "--sharpen", "1"),
    ("--color", "mkl", "--blend", "pyramid", "--erode", "0.02"),
)


def parse_runs(texts: Sequence[str]) -> dict[str, tuple[str, str]]:
    """``NAME=RUN:PERSON`` to name, run folder and source identity.

    Raises:
        UsageError: a text has another form.
    """
    found: dict[str, tuple[str, str]] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        run, colon, person = rest.rpartition(":")
        if not (name and equals and run and colon and person):
            raise UsageError(f"{text!r} is not NAME=RUN:PERSON", hint="for example gan=runs/gan:ann")
        found[name] = (run, person)
    return found


def make_set(
    clips: Sequence[Path], runs: Mapping[str, tuple[str, str]], out: Path, *, work: Path, rights: str, frames: int,
    crf: int, finder: str,
) -> None:  # fmt: skip
    """Makes the set in ``out``; existing clips are kept, so an interrupted run can be resumed.

    Raises:
        UsageError: two clips have one name.
        MediaError: a clip cannot be read.
        RunError: a command failed.
    """
    people = [clip.stem.replace("_", "-").lower() for clip in clips]
    twice = sorted({person for person in people if people.count(person) > 1})
    if twice:
        raise UsageError(f"two clips are called {twice[0]}", hint="the file name is the person; rename one")
    if not out.exists():
        do("dataset", "init", out, "--name", out.name)
    for place, (clip, person) in enumerate(zip(clips, people, strict=True)):
        cut = work / f"{person}.mkv"
        if not cut.exists():
            cut_to(clip, cut, frames=frames)
        if not _is_listed(out, person, None):
            do("dataset", "add", out, cut, "--identity", person, "--rights", rights, "--crf", crf, "--finder", finder)
        for number, (name, (run, source)) in enumerate(runs.items()):
            if _is_listed(out, person, f"{person}-{name}"):
                continue
            paste = PASTES[(place + number) % len(PASTES)]
            do("forge", "swap", cut, "--run", run, "--source", source, "--identity", person, "--rights", rights,
               "--out", out, "--name", f"{person}-{name}", "--crf", crf, "--finder", finder, *paste)  # fmt: skip


def _is_listed(out: Path, person: str, fake: str | None) -> bool:
    """Whether the set lists a real clip of ``person``, or ``fake``, not only media left by an interruption."""
    records = DatasetFolder.open(out).records()
    if fake is None:
        return any(record.label == "real" and record.target_identity == person for record in records)
    return any(record.id.name == fake for record in records)


def cut_to(clip: Path, out: Path, *, frames: int, max_side: int = 640) -> None:
    """Writes the first ``frames`` of ``clip`` losslessly, no side longer than ``max_side`` pixels, no sound.

    Raises:
        MediaError: it cannot be read.
        StorageError: writing failed.
    """
    info = probe(clip)
    size = fitted(info.width, info.height, max_side)
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        VideoReader(clip) as reader,
        VideoWriter(out, width=size[0], height=size[1], time_base=info.time_base, frame_rate=info.frame_rate,
                    encoding=Encoding.lossless_rgb()) as writer,
    ):  # fmt: skip
        for frame in islice(reader, frames):
            writer.write(resized_picture(frame.image, size), on_clock(frame.time, info.time_base))
