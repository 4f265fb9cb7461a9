"""Results of single fakes kept on disk, so that a measurement that was stopped goes on from where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import shared
from forge.image_metrics import Spread
from forge.quality.features import ClipFeatures
from forge.quality.result import SPREADS, SwapQuality
from shared.config import digest, from_mapping
from shared.errors import AssayError, ManifestError, storage_errors
from shared.storage import read_json, replacing, sha256_file, write_bytes

if TYPE_CHECKING:
    from forge.quality.dataset import Case
    from forge.quality.measure import Instruments
    from forge.quality.metrics import Person

SUMMARY = "quality.json"
"""The results so far, in the form of the final ones, written when a measurement is stopped."""

_OURS = re.compile(r"[0-9a-f]{64}\.(json|safetensors)")


def measured_by(
    instruments: Instruments, people: Mapping[str, Person], *, last: float, swapper: str | None
) -> dict[str, Any]:
    """What the result of a fake depends on beside its files, as plain values; ``swapper`` is the predictor's digest."""
    return {
        "version": shared.__version__,
        "finder": instruments.finder.describe(),
        "embedder": instruments.embedder.name if instruments.embedder else None,
        "embedder_in_loss": instruments.embedder_in_loss,
        "people": {name: hashlib.sha256(one.embedding.tobytes()).hexdigest() for name, one in people.items()},
        "pair": [person.name for person in instruments.people or ()],
        "swapper": swapper,
        "features": instruments.features.source if instruments.features else None,
        "lpips": instruments.lpips is not None,
        "crop": [instruments.crop_px, instruments.crop_framing],
        "last": last,
    }


class KeptResults:
    """Results in the folder beside the file that a measurement writes, until that is written.

    A result is found again only for the same bytes of fake, target and mask and the same ``settings``. What cannot be
    read is as if it were not there.

    Args:
        out: the file of the measurement; the folder is called after it.
        settings: see :func:`measured_by`.

    Attributes:
        folder: where the results are; reused: how many were found again.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.folder = out.with_name(f"{out.name}.partial")
        self.reused = 0
        self._settings = dict(settings)

    def find(self, case: Case, features: ClipFeatures | None) -> SwapQuality | None:
        """The result of ``case`` if it was kept; its features are added to ``features``, unless None."""
        file = self._file(case)
        if not file.is_file():
            return None
        try:
            raw = read_json(file, dict, error=ManifestError)
            spreads = {name: from_mapping(Spread, raw[name]) for name in SPREADS if raw[name] is not None}
            result = SwapQuality(**{**raw, **spreads})
            if features is not None:
                arrays = load_file(file.with_suffix(".safetensors"))
                features.fake[:], features.target[:] = list(arrays["fake"]), list(arrays["target"])
        except (AssayError, SafetensorError, OSError, KeyError, TypeError):
            return None
        self.reused += 1
        return result

    def keep(self, case: Case, result: SwapQuality, features: ClipFeatures | None) -> None:
        """Keeps the result of ``case``.

        Raises:
            StorageError: writing failed.
        """
        file = self._file(case)
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if features is not None:
                both = features.fake, features.target
                fake, target = (np.stack(each) if each else np.zeros((0, 1), np.float32) for each in both)
                with replacing(file.with_suffix(".safetensors")) as draft:
                    save_file({"fake": fake, "target": target}, draft)
        write_bytes(file, json.dumps(dataclasses.asdict(result)).encode())

    def summarise(self, document: Mapping[str, Any]) -> Path:
        """Writes the results so far into the folder; returns the file.

        Raises:
            StorageError: writing failed.
        """
        write_bytes(self.folder / SUMMARY, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")
        return self.folder / SUMMARY

    def remove(self) -> None:
        """Removes the kept results, once the measurement is written."""
        for file in self.folder.glob("*"):
            if file.name == SUMMARY or _OURS.fullmatch(file.name):
                file.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _file(self, case: Case) -> Path:
        files = [sha256_file(path) if path is not None else None for path in (case.fake, case.target, case.alpha)]
        people = [case.record.source_identity, case.record.target_identity] if case.record else []
        return self.folder / f"{digest({**self._settings, 'files': files, 'record': people})}.json"
