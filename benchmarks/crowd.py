"""Real faces for self-blending, and the same faces drawn by decoders, for detectors to learn from.

Drives the public command line, so every line it prints can be typed again. The photographs are cut into two halves
that play the two people of each swapper; each half is then drawn again by the decoder that learned the other. A twin
shows the same face at the same place with the traces of a decoder in it, and of nobody's compositor.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.typed import do
from shared.config import from_mapping, read_toml
from shared.errors import UsageError
from shared.storage import replacing

HALVES = ("crowd-a", "crowd-b")
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class CrowdSettings:
    """``crowd.toml``: one list of ``forge train`` flags a swapper, by name."""

    rights: str
    extract: tuple[str, ...]
    swappers: dict[str, tuple[str, ...]]


def load_settings(path: Path) -> CrowdSettings:
    """The settings in ``path``.

    Raises:
        ConfigError: something is unknown or missing.
    """
    return from_mapping(CrowdSettings, read_toml(path), where=path.name)


def prepare(photographs: Path, settings: CrowdSettings, work: Path) -> None:
    """Facesets of both halves, a swapper a name, and twins of both halves by each; what is there is kept.

    Raises:
        UsageError: fewer than four photographs.
        RunError: a command failed.
    """
    for half, files in zip(HALVES, halves(photographs), strict=True):
        folder = work / "photographs" / half
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            if not (folder / file.name).exists():
                with replacing(folder / file.name) as draft:
                    shutil.copyfile(file, draft)
        faces = work / half
        if not faces.exists():
            do("faces", "extract", folder, "--identity", half, "--rights", settings.rights, "--all-people",
                *settings.extract, "--out", faces)  # fmt: skip
    for name, flags in settings.swappers.items():
        run = work / "swappers" / name
        if not (work / f"{HALVES[1]}-{name}").exists():
            do("forge", "train", *(work / half for half in HALVES), "--run", run, *flags)
        for half, other in zip(HALVES, HALVES[::-1], strict=True):
            twin = work / f"{half}-{name}"
            if not twin.exists():
                do("forge", "redraw", work / half, "--run", run, "--source", other, "--out", twin)


def halves(photographs: Path) -> tuple[list[Path], list[Path]]:
    """The photographs under a folder, by name, dealt out in turn.

    Raises:
        UsageError: fewer than four, or two of one name.
    """
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if len(files) < 4:
        raise UsageError(f"{photographs} holds {len(files)} photographs", hint="a few hundred faces are a crowd")
    names = [path.name for path in files]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"two photographs are called {twice}", hint="give every file a name of its own")
    return files[::2], files[1::2]
