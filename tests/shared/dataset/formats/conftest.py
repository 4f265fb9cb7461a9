"""Small trees in the form of published sets, and the command that imports them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from shared.commands.dataset import app
from shared.console import console
from shared.dataset import DatasetFolder
from shared.dataset.formats.found import FoundClip, Scan, ScanOptions
from shared.dataset.formats.importing import ImportConfig, ImportReport, import_set, scan_set
from shared.video import Encoding
from tests.factories import write_clip

PAL = Fraction(1, 25)


def film(path: Path, *, start: int = 0, frames: int = 3, size: tuple[int, int] = (32, 24)) -> Path:
    """A short clip whose pictures depend on ``start``, so that no two clips have the same bytes."""
    pictures = (shade(start * 8 + index, *size) for index in range(frames))
    return write_clip(path, pictures, encoding=Encoding(preset="ultrafast", crf=10))


def shade(number: int, width: int = 32, height: int = 24) -> np.ndarray:
    """(H, W, 3) uint8 that differs with ``number`` in every pixel."""
    y, x = np.mgrid[0:height, 0:width]
    planes = (x * 3 + number * 7, y * 5 + number * 3, x + y + number * 11)
    return np.stack([plane % 256 for plane in planes], axis=-1).astype(np.uint8)


def mask_video(path: Path, marked: Sequence[bool], size: tuple[int, int] = (32, 24)) -> Path:
    """A lossy mask, as FaceForensics++ has them: a white box on the frames that are ``marked``."""
    width, height = size
    pictures = np.zeros((len(marked), height, width, 3), np.uint8)
    pictures[np.array(marked), 8:16, 8:24] = 255
    return write_clip(path, pictures)


def picture(path: Path, number: int, size: tuple[int, int] = (16, 16)) -> Path:
    """A PNG with the picture of that number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(shade(number, *size)).save(path)
    return path


@pytest.fixture
def assay(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., dict]]:
    """Runs ``assay --json dataset ...``; gives the document it prints, raises what it raises."""

    def run(*arguments: object) -> dict:
        capsys.readouterr()
        console.configure(quiet=True, json_mode=True)
        command = typer.main.get_command(app)
        command.main([str(argument) for argument in arguments], prog_name="dataset", standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    yield run
    console.configure()


RIGHTS = ImportConfig(rights="terms of use", name="them")


def scan(layout: str, root: Path, **options: object) -> Scan:
    """What a layout's reader finds under ``root``."""
    return scan_set(layout, root, ScanOptions(**options))  # type: ignore[arg-type]


def by_name(scan: Scan) -> dict[str, FoundClip]:
    """Its clips by manipulation and name."""
    return {f"{clip.manipulation or 'real'}/{clip.listed_name}": clip for clip in scan.clips}


def imported(layout: str, root: Path, out: Path, config: ImportConfig = RIGHTS) -> tuple[DatasetFolder, ImportReport]:
    """The set as a dataset, and the report of importing it."""
    report = import_set(layout, root, out, config)
    return DatasetFolder.open(out), report


def errors(dataset: DatasetFolder) -> list[str]:
    """What verify accuses, in words."""
    return [str(problem) for problem in dataset.verify() if problem.severity == "error"]


def faults(scan: Scan) -> set[tuple[str, str]]:
    """What is wrong with the set, and where."""
    return {(issue.fault, issue.where) for issue in scan.issues}
