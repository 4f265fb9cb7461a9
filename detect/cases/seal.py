"""The signature of a case, ``case.json``: a signed list of all its files, and the check of a case against it.

``case.sha256`` holds the hash of ``case.json`` itself, in the form of ``sha256sum``. Steps that are added to the log
later are signed anew together with the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shared
from detect.cases.contents import Contents, FolderContents, contents_of
from detect.cases.log import LOG_NAME, MAX_LOG_BYTES, Step, chained, head_of, now, read_log
from shared.errors import CaseError, ProvenanceError, storage_errors
from shared.provenance.signed_list import signed_statement, write_signed
from shared.provenance.trust import known_signers
from shared.storage import folder_lock, write_bytes, write_text

SEAL_NAME, SUM_NAME = "case.json", "case.sha256"
_MAX_SEAL_BYTES = 64 << 20
_UNSIGNED = "not signed"
_APART = f"{SEAL_NAME} and {SUM_NAME} do not belong together"
_HINT = "restore the case from a copy, or inspect the file again"


@dataclass(frozen=True)
class CaseCheck:
    """The result of checking a case.

    Attributes:
        place: folder or archive.
        files: number of files that are listed and unchanged.
        steps: number of whole lines of the log.
        signer, fingerprint: of the signature; empty if it cannot be read.
        known: whether the user knows the signer.
        faults: what is wrong, a sentence each; empty for a case in which nothing changed.
    """

    place: Path
    files: int
    steps: int
    signer: str
    fingerprint: str
    known: bool
    faults: tuple[str, ...]


def seal_case(folder: Path, steps: Sequence[Step]) -> None:
    """Writes the log of a new case from ``steps`` and signs all files in ``folder``.

    Raises:
        ProvenanceError: the signing identity cannot be used.
        StorageError: writing failed.
    """
    write_bytes(folder / LOG_NAME, chained(steps))
    _sign(folder)


def append_steps(folder: Path, steps: Sequence[Step]) -> None:
    """Adds ``steps`` to the log of a case in which nothing changed, and signs it anew.

    What a killed process left is signed with a line that says so: a log that it had continued and not signed, and a
    sum that is older than the list signed by a known signer, in which every file stands as it is.

    Raises:
        CaseError: the case was changed.
        ProvenanceError: the signing identity cannot be used.
        StorageError: writing failed.
    """
    with folder_lock(folder.parent / f".{folder.name}.lock"):
        check = check_case(folder)
        faults = check.faults
        left = [fault for fault in faults if fault.endswith(_UNSIGNED) or (fault == _APART and check.known)]
        if len(faults) > len(left):
            raise CaseError(f"{folder} was changed: {faults[0]}", hint="assay case verify lists all faults")
        log = FolderContents(folder).read(LOG_NAME, MAX_LOG_BYTES)
        found = [Step("left by a killed process", now(), now(), {"what": fault}) for fault in left]
        added = chained([*found, *steps], log)
        with storage_errors(folder / LOG_NAME):
            write_bytes(folder / LOG_NAME, log + added)
        _sign(folder)


def _sign(folder: Path) -> None:
    contents = FolderContents(folder)
    files = {name: contents.digest(name) for name in contents.names() if name not in (SEAL_NAME, SUM_NAME)}
    links = [name for name, digest in files.items() if digest is None]
    if links:
        raise CaseError(f"{folder / links[0]} is a link, which a case cannot hold", hint="put the file there itself")
    log = contents.read(LOG_NAME, MAX_LOG_BYTES)
    facts = {
        "kind": "case",
        "tool": f"assay {shared.__version__}",
        "log_lines": len(read_log(log)[0]),
        "log_head": head_of(log),
    }
    write_signed(folder / SEAL_NAME, facts, {name: digest for name, digest in files.items() if digest is not None})
    found = hashlib.sha256((folder / SEAL_NAME).read_bytes()).hexdigest()
    write_text(folder / SUM_NAME, f"{found}  {SEAL_NAME}\n")


def check_case(place: Path) -> CaseCheck:
    """Compares every file of a case, in a folder or an exported archive, with the signed list, and checks the log.

    Raises:
        CaseError: there is no case, or one of an earlier Assay, which has no signature.
    """
    with contents_of(place) as contents:
        names = contents.names()
        if SEAL_NAME not in names:
            earlier = "report.json" in names and LOG_NAME not in names
            why = "was made before cases were signed" if earlier else f"has no {SEAL_NAME}"
            raise CaseError(f"{place} {why}: nothing shows whether it changed", hint=_HINT)
        return _checked(contents, names)


def _checked(contents: Contents, names: Sequence[str]) -> CaseCheck:
    faults: list[str] = []
    document = contents.read(SEAL_NAME, _MAX_SEAL_BYTES)
    own = f"{hashlib.sha256(document).hexdigest()}  {SEAL_NAME}\n".encode()
    if SUM_NAME not in names:
        faults.append(f"{SUM_NAME} is missing")
    elif contents.read(SUM_NAME, 1 << 10) != own:
        faults.append(_APART)
    try:
        signed = signed_statement(document, SEAL_NAME)
    except (ProvenanceError, ValueError) as error:  # a name in the certificate may be damaged too
        return CaseCheck(contents.place, 0, 0, "", "", False, (*faults, str(error)))
    known = signed.fingerprint in known_signers()
    if not known:
        faults.append(f"it is signed by an unknown signer who goes by {signed.signer} ({signed.fingerprint})")
    statement = signed.statement
    if statement.get("kind") != "case":
        faults.append(f"{SEAL_NAME} is the signed list of something else than a case")
    log_faults, steps = _log_faults(contents, names, statement)
    file_faults, same = _file_faults(contents, names, statement, log_only=bool(log_faults))
    return CaseCheck(
        contents.place,
        same,
        steps,
        signed.signer,
        signed.fingerprint,
        known,
        (*faults, *log_faults, *file_faults),
    )


def _log_faults(contents: Contents, names: Sequence[str], statement: dict[str, Any]) -> tuple[list[str], int]:
    if LOG_NAME not in names:
        return [f"{LOG_NAME} is missing"], 0
    log = contents.read(LOG_NAME, MAX_LOG_BYTES)
    lines, faults = read_log(log)
    if faults:
        return [f"{LOG_NAME}: {fault}" for fault in faults], len(lines)
    signed_lines = statement.get("log_lines")
    count = signed_lines if isinstance(signed_lines, int) else 0
    if len(lines) < count:
        return [f"{LOG_NAME} ends after {len(lines)} of {count} lines"], len(lines)
    first = b"".join(line + b"\n" for line in log.splitlines()[:count])
    if head_of(first) != statement.get("log_head"):
        return [f"{LOG_NAME} was written anew"], len(lines)
    return ([f"{LOG_NAME}: {len(lines) - count} more lines, {_UNSIGNED}"] if len(lines) > count else []), len(lines)


def _file_faults(
    contents: Contents, names: Sequence[str], statement: dict[str, Any], *, log_only: bool
) -> tuple[list[str], int]:
    listed = statement.get("files")
    files = {str(name): str(digest) for name, digest in (listed if isinstance(listed, dict) else {}).items()}
    present = set(names) - {SEAL_NAME, SUM_NAME}
    faults = [f"{name} is missing" for name in sorted(set(files) - present)]
    faults += [f"{name} is not listed" for name in sorted(present - set(files))]
    same = 0
    for name in sorted(present & set(files)):
        if name == LOG_NAME and log_only:
            continue  # said already
        if contents.digest(name) == files[name]:
            same += 1
        else:
            faults.append(f"{name} was changed")
    return faults, same
