"""Sets of stills by ``[[generation]]``, audited: what tells generated faces from photographs besides the face.

Each photograph is of another person. Two sets are built of them and of a generator's faces: as ``forge build`` makes
them, and without softened photographs and without the random JPEG quality.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.schema import Measurement
from benchmarks.shortcuts import measurements
from forge.building.build import build_set
from forge.building.generations import GenerationConfig
from forge.building.spec import IdentityConfig, SetConfig, SetSpec, SplitsConfig
from shared.dataset.audit.audit import audit_dataset
from shared.dataset.audit.config import AuditConfig
from shared.engine.local import LocalEngine
from shared.errors import UsageError

_LEAST = 24


def measured(
    photographs: Sequence[Path], run: Path, out: Path, *, rights: str, config: AuditConfig | None = None
) -> Iterator[list[Measurement]]:
    """The areas of all probes on the set with its controls, then those on the careless one too.

    Args:
        photographs: one a person.
        run: of a generator.
        out: folder of both sets and their audits.
        rights: to use the photographs.
        config: of the audits.

    Raises:
        UsageError: too few photographs.
        AssayError: a build or an audit failed.
    """
    if len(photographs) < _LEAST:
        raise UsageError(f"{len(photographs)} photographs are too few", hint=f"at least {_LEAST}, one a person")
    config = config or AuditConfig()
    found: list[Measurement] = []
    for name, careless in (("controls", False), ("careless", True)):
        spec = set_of(photographs, run, name=name, rights=rights, careless=careless)
        result = build_set(spec, out / name, work=out / "work", engine=LocalEngine(1))
        report, _ = audit_dataset(out / name, out=out / f"{name}.audit", config=config)
        found += measurements(name, report)
        counts = {"stills": result.listed, "faces that are not new": len(result.skipped)}
        found += [Measurement.of(f"{name}: {what}", "files", [float(count)]) for what, count in counts.items()]
        yield found


def set_of(photographs: Sequence[Path], run: Path, *, name: str, rights: str, careless: bool) -> SetSpec:
    """A set of stills: of ten people six for training, one for validation, three for the test, and a face for each."""
    people = {f"person-{number:04d}": path for number, path in enumerate(photographs)}
    parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number, person in enumerate(people):
        parts["train" if number % 10 < 6 else "val" if number % 10 == 6 else "test"].append(person)
    faces = {split: len(names) for split, names in parts.items()}
    generation = GenerationConfig("nobody", str(run.resolve()), faces=faces)
    if careless:
        generation = replace(generation, softened=0.0, quality_spread=0)
    return SetSpec(
        set=SetConfig(name, finder="dlib"),
        identity=tuple(IdentityConfig(person, rights, (str(path.resolve()),)) for person, path in people.items()),
        generation=(generation,),
        renditions=(),
        splits=SplitsConfig(tuple(parts["train"]), tuple(parts["val"]), tuple(parts["test"])),
    )
