"""New faces by seed: latents, certificates, stills and sheets in a folder with a signed list.

::

    seed-NUMBER.png         a face; between two seeds: between-A-B-NUMBER.png
    stills.json             a signed list: every record, every face that was refused and why, digests of the files
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from forge.generating.certificate import REFERENCE, Certificate, FaceEmbedder, Reference
from forge.generating.checkpoint import generator_digest, load_generator
from forge.generating.config import LEAST_MARKED_PX, StillConfig
from forge.generating.contract import Generator, latent_between
from forge.generating.output import enlarged, write_still
from forge.generating.record import StillFacts
from forge.generating.trainers import tiled, to_pixels
from shared.console import console
from shared.device import pick_device
from shared.errors import CheckpointError, UsageError
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import need_signable
from shared.provenance.signed_list import write_signed
from shared.provenance.types import record_facts
from shared.storage import need_replaceable, replacing_folder, sha256_file
from shared.types import ClipRecord

LIST = "stills.json"


@dataclass(frozen=True)
class Wanted:
    """A face to make: its name, its latent (D,), and the seed or the two seeds that it comes from."""

    name: str
    latent: Tensor
    seed: int | None = None
    between: tuple[int, int, float] | None = None


@dataclass(frozen=True)
class Stills:
    """What was made.

    Attributes:
        records: of the files, in order; refused: name and certificate of each face that was not called new.
        written: whether refused faces were written all the same.
    """

    records: tuple[ClipRecord, ...]
    refused: Mapping[str, Certificate]
    written: bool


class Sampler:
    """Makes faces with the generator of a run, and certifies them.

    Every face is computed alone, so it depends on its latent and on nothing else.

    Raises:
        CheckpointError: the run holds no generator or no people to compare with, or those of another generator or
            embedder.
        WeightsError, FinderError: the identity embedder is not installed.
    """

    def __init__(self, run: Path, config: StillConfig) -> None:
        self.config, self.device = config, pick_device(config.device, "float32")
        self.generator, self.facts = load_generator(run, self.device.torch_device)
        self.weights = generator_digest(run)
        folder = run if run.is_dir() else run.parent
        self.reference = Reference.load(folder / REFERENCE)
        self.reference_sha256 = sha256_file(folder / REFERENCE)
        if self.facts.get("reference_sha256", self.reference_sha256) != self.reference_sha256:
            raise CheckpointError(
                f"{folder / REFERENCE} is not of this generator", hint="copy generator and reference from one run"
            )
        self._embedder = FaceEmbedder(self.generator.spec.framing)
        if self._embedder.describe() != self.reference.embedder:
            raise CheckpointError(
                f"{folder / REFERENCE} is of another embedder than the one installed", hint="train the generator again"
            )

    def wanted(self, seeds: Sequence[int]) -> list[Wanted]:
        """A face of each seed."""
        latents = self.generator.latents(seeds)
        return [Wanted(f"seed-{seed:06d}", latent, seed) for seed, latent in zip(seeds, latents, strict=True)]

    def path(self, first: int, last: int, steps: int) -> list[Wanted]:
        """Faces from one seed to another, both included, in ``steps`` steps along the great circle."""
        one, other = self.generator.latents([first, last])
        shares = [step / steps for step in range(steps + 1)]
        return [
            Wanted(
                f"between-{first}-{last}-{number:04d}", latent_between(one, other, share), None, (first, last, share)
            )
            for number, share in enumerate(shares)
        ]

    def made(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, np.ndarray, Certificate]]:
        """Each face, (S, S, 3) uint8 at the generator's own size, with its certificate."""
        for one in wanted:
            face = generated(self.generator, one.latent[None] * self.config.truncation, self.device.torch_device)[0]
            yield one, face, self.reference.certificate(self._embedder.embed(face[None])[0])


@torch.inference_mode()
def generated(generator: Generator, latents: Tensor, device: torch.device) -> np.ndarray:
    """(N, S, S, 3) uint8: the faces of ``latents`` (N, D)."""
    return to_pixels(generator(latents.to(device)))


def generate_stills(
    run: Path,
    out: Path,
    seeds: Sequence[int] = (),
    config: StillConfig = StillConfig(),  # noqa: B008 - frozen
    *,
    between: tuple[int, int, int] | None = None,
    sheet: Path | None = None,
    mark: bool = True,
) -> Stills:
    """Makes new faces with the generator of ``run``, into the folder ``out``, which appears whole or not at all.

    Args:
        run: of a training of a generator.
        out: a new folder, or one of an earlier call, which is replaced.
        seeds: of single faces.
        config: settings.
        between: the first seed, the last one, and the number of steps from one to the other; None for none.
        sheet: a further picture file that shows all faces that were written, marked and signed as they are.
        mark: whether the imperceptible mark is written; the records say if not.

    Raises:
        UsageError: nothing is wanted, the pictures are too small for a mark, every face was refused, or ``out`` holds
            something else.
        CheckpointError: the run holds no generator or no people to compare with.
        StorageError: writing failed.
    """
    if not seeds and between is None:
        raise UsageError("no face is named", hint="name seeds: --seeds 0-63")
    need_replaceable(out, LIST, marks=(LIST,))
    of_sheet = None if sheet is None else _sheet_config(config, sheet)
    identity = SigningIdentity.load_or_create()
    need_signable(identity, None)
    sampler = Sampler(run, config)
    side = config.px or sampler.generator.spec.px
    if mark and side < LEAST_MARKED_PX:
        raise UsageError(
            f"a mark cannot be read in pictures of {side} px", hint=f"--px {LEAST_MARKED_PX}, or --no-mark"
        )
    listed = [*sampler.wanted(seeds), *(sampler.path(*between) if between is not None else ())]
    records: list[ClipRecord] = []
    refused: dict[str, Certificate] = {}
    shown: list[np.ndarray] = []
    with replacing_folder(out) as draft, console.progress("generating", len(listed), unit="face") as tick:
        for one, face, certificate in sampler.made(listed):
            if not certificate.new:
                refused[one.name] = certificate
            if certificate.new or config.not_new == "write":
                picture = enlarged(face, config.px)
                file = draft / f"{one.name}.{config.format}"
                facts = _facts(sampler, one.name, picture, seed=one.seed, between=one.between, certificate=certificate)
                records.append(write_still(file, picture, facts, config, identity, mark=mark))
                shown.append(picture)
            tick(1)
        if not records:
            raise UsageError(
                f"none of {len(listed)} faces is new by its certificate", hint="other seeds, or train on more people"
            )
        statement = _statement(sampler, records, refused)
        write_signed(draft / LIST, statement, {record.path: record.sha256 for record in records})
    if sheet is not None and of_sheet is not None:
        picture = tiled(np.stack(shown))
        facts = _facts(sampler, sheet.stem, picture, not_new=bool(refused) and config.not_new == "write")
        write_still(sheet, picture, facts, of_sheet, identity, mark=mark)
    return Stills(tuple(records), refused, config.not_new == "write")


def _facts(sampler: Sampler, name: str, picture: np.ndarray, **more: Any) -> StillFacts:
    spec = sampler.generator.spec
    rights = str(sampler.facts.get("rights", "unstated"))[:200]
    size = picture.shape[1], picture.shape[0]
    return StillFacts(name, spec.name, sampler.weights, size, spec.px, rights, **more)


def _statement(sampler: Sampler, records: Sequence[ClipRecord], refused: Mapping[str, Certificate]) -> dict[str, Any]:
    reference = sampler.reference
    return {
        "stills": [
            record_facts(record)
            | {"file": record.path, "content_sha256": record.content_sha256, "factors": record.factors}
            for record in records
        ],
        "not_new": {name: asdict(certificate) for name, certificate in refused.items()},
        "compared_with": {
            "people": len(set(reference.people)),
            "pairs_of_people": reference.pairs,
            "reference_sha256": sampler.reference_sha256,
            "named_by_the_generator": "reference_sha256" in sampler.facts,
            "limit": reference.limit,
            "real_people_refused_by_the_same_rule": reference.strangers_refused,
            **{f"embedder_{key}": value for key, value in reference.embedder.items()},
        },
    }


def _sheet_config(config: StillConfig, sheet: Path) -> StillConfig:
    suffix = sheet.suffix.lower()
    if suffix not in (".png", ".jpg"):
        raise UsageError(f"a sheet is not written as {suffix or 'a file without a suffix'}", hint="use .png or .jpg")
    return replace(config, format="png" if suffix == ".png" else "jpg")
