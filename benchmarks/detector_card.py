"""Sections of the model card of the detector in the package: data, rights, hashes, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from detect.calibration.card import with_sections
from detect.models.checkpoint import CARD_NAME, weights_digest
from detect.models.shipped import SHIPPED
from shared.storage import write_text


def add_sections(folder: Path, *, made_of: Sequence[tuple[str, ...]], facts: Mapping[str, str]) -> Path:
    """Puts data with rights, and how it was made, into the card of the detector in ``folder``; returns the card.

    The card then calls the detector by its name in the package.

    ``made_of`` are rows of name, source, rights, and people of train, val and calibration.

    Raises:
        CheckpointError: no detector is there.
        StorageError: writing failed.
    """
    path = folder / CARD_NAME
    text = path.read_text(encoding="utf-8").replace("THIS_FOLDER", SHIPPED)
    sections = {"Data and rights": _data_text(made_of), "How it was made": _made_text(facts, weights_digest(folder))}
    write_text(path, with_sections(text, sections))
    return path


def _data_text(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| crowd | material | rights | train | val | calibration |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return (
        "Photographs were filmed by a moving camera with changing light; fakes of each part are by a swapper of that "
        "part's people, which started from the base swapper. The base swapper, whose decoder made the twins, had seen "
        "all of these people. Numbers of people:\n\n" + "\n".join(lines) + "\n\nFew have dark skin, and few are shown "
        "in profile: it is less reliable there.\n"
    )


def _made_text(facts: Mapping[str, str], sha256: str) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return (
        "By `python -m benchmarks detector`. Weights of matrices are stored in half precision and computed with in "
        f"float32. SHA-256 of `model.safetensors`: `{sha256}`.\n\n| | |\n|---|---|\n{rows}\n"
    )
