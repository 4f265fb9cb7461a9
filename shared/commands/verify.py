"""``assay verify``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.console import console
from shared.console import counted as number_of
from shared.errors import ProvenanceError, UsageError

if TYPE_CHECKING:
    from shared.provenance.types import Provenance

_SHOWN = 30


def verify(
    paths: Annotated[
        list[Path], typer.Argument(help="Folders that forge wrote, or files that are signed.", show_default=False)
    ],
) -> None:
    """Checks signed frames, patches, previews and clips for changes and unknown signers. Ends with 1 if any.

    Example: assay verify swapped/ patches/

    Example: assay verify set/previews/saehd/one.gif

    A folder is checked by the signed list in it (frames.json, patches.json), a file by its Content Credentials. Files
    that a list does not name are reported too. For datasets use assay dataset verify.
    """
    found = [_check_folder(path) if path.is_dir() else _check_file(path) for path in paths]
    console.result({"sound": not any(faults for _, faults in found), "checked": [each for each, _ in found]})
    faults = [fault for _, several in found for fault in several]
    for fault in faults[:_SHOWN]:
        console.warn(fault)
    if faults:
        more = f", {len(faults) - _SHOWN} of them not shown" if len(faults) > _SHOWN else ""
        raise ProvenanceError(
            f"{number_of(len(faults), 'fault')} found: not as signed{more}",
            hint="restore from a copy; trust a signer you know with assay dataset identity --trust FINGERPRINT",
        )


def _check_folder(path: Path) -> tuple[dict[str, object], list[str]]:
    from shared.provenance.signed_list import check_folder
    from shared.provenance.trust import known_signers

    if (path / "dataset.toml").is_file():
        raise UsageError(f"{path} is a dataset", hint=f"assay dataset verify {path}")
    found, known = check_folder(path), known_signers()
    faults = []
    for name, (fingerprint, signer) in found.signers.items():
        if fingerprint in known:
            console.print(f"{path / name} is signed by {known[fingerprint].name or signer}, whom you know")
        else:
            faults.append(f"{path / name} is signed by an unknown signer who goes by {signer} ({fingerprint})")
    faults += [f"{path / name} is {state}" for name, state in found.files.items() if state != "unchanged"]
    counted = Counter(found.files.values())
    console.print(f"{path}: {', '.join(f'{number} {state}' for state, number in sorted(counted.items())) or 'no file'}")
    lists = {
        name: {"signer": who[1], "fingerprint": who[0], "known": who[0] in known} for name, who in found.signers.items()
    }
    return {"path": path, "lists": lists, "files": found.files}, faults


def _check_file(path: Path) -> tuple[dict[str, object], list[str]]:
    from shared.provenance.read import read_provenance
    from shared.provenance.trust import known_roots
    from shared.video.child import Child
    from shared.video.container import need_file

    need_file(path)
    with Child(path) as source:
        found = source.call(read_provenance, known_roots())
    faults = [f"{path} {fault}" for fault in _faults_of(path, found)]
    if not faults and found is not None and found.signer is not None:
        console.print(f"{path} is unchanged since {found.signer.name}, whom you know, signed it")
    signer = None if found is None or found.signer is None else found.signer
    name, known = (None, False) if signer is None else (signer.name, signer.trusted)
    return {"path": path, "signer": name, "known": known, "faults": faults}, faults


def _faults_of(path: Path, found: Provenance | None) -> list[str]:
    from shared.provenance.read import sidecar_of

    if found is None:
        return ["is not signed"]
    faults = [f"is not as it was signed: {problem}" for problem in found.problems]
    if not found.valid and not faults:
        faults.append("is not as it was signed")
    if not found.embedded and sidecar_of(path) is None:
        faults.append("holds no signature itself: the one that was read lies in a file beside it")
    if found.signer is None or not found.signer.trusted:
        faults.append(f"is signed by an unknown signer who goes by {found.signer.name if found.signer else 'no name'}")
    return faults
