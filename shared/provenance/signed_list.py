"""Signed lists of files in a folder, with facts and the digest of each file.

For outputs that are folders of pictures but not datasets: frames and patches. Signed like a dataset's seal, with the
user's identity.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from shared.errors import ProvenanceError
from shared.provenance.identity import (
    SigningIdentity,
    chain_fingerprint,
    load_chain,
    subject_name,
    verify_signature,
)
from shared.storage import decode_json, inside, read_json, sha256_file, write_bytes

_VERSION = 1
_MAX_BYTES = 1 << 30

State = Literal["unchanged", "changed", "missing", "not listed"]


class _Signed(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    statement: dict[str, Any]
    algorithm: str
    certificates: str
    signature: str


@dataclass(frozen=True)
class FolderCheck:
    """The result of checking a folder with signed lists.

    Attributes:
        signers: fingerprint and name, as their certificate gives it, of who signed each list.
        files: state of every file below the folder or in a list, by its path in the folder; "unchanged" if all lists
            that name it agree. A link is never "unchanged": what it leads to can be changed elsewhere.
    """

    signers: dict[str, tuple[str, str]]
    files: dict[str, State]


def write_signed(path: Path, facts: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Writes ``facts`` and ``files`` (path below the list's folder to SHA-256) to ``path`` as signed JSON.

    Raises:
        ProvenanceError: the signing identity cannot be used.
        StorageError: writing failed.
    """
    identity = SigningIdentity.load_or_create()
    statement = {**facts, "files": dict(files)}
    signature = identity.sign(_canonical(statement))
    signed = _Signed(_VERSION, statement, identity.algorithm, identity.certificates, signature)
    write_bytes(path, msgspec.json.format(msgspec.json.encode(signed), indent=1) + b"\n")


def read_signed(path: Path) -> dict[str, Any]:
    """The statement of a signed list; the signature is checked, and so is every file it lists.

    Raises:
        ProvenanceError: the list is missing or damaged, its signature does not fit, or a file was changed.
        ManifestError: a path leads out of the list's folder.
    """
    signed = _read(path)
    for name, digest in _files(signed).items():
        file = inside(path.parent, name)
        if _state(file, digest) != "unchanged":
            raise ProvenanceError(f"{file} is not what was signed", hint="restore it from a copy")
    return signed.statement


@dataclass(frozen=True)
class SignedStatement:
    """A statement whose signature fits, and the fingerprint and name of the signer, as the certificate gives it."""

    statement: dict[str, Any]
    fingerprint: str
    signer: str


def signed_statement(document: bytes, where: object) -> SignedStatement:
    """The statement of a signed list given as its bytes; the files it lists are not looked at.

    Raises:
        ProvenanceError: ``document`` is no signed list, or its signature does not fit.
    """
    signed = decode_json(document, _Signed, where, error=ProvenanceError, hint="restore it from a copy")
    _need_fitting(signed, where)
    return SignedStatement(signed.statement, *_signer(signed.certificates))


def check_folder(folder: Path) -> FolderCheck:
    """Compares the files below ``folder`` with the signed lists in it. Follows no link.

    Raises:
        ProvenanceError: it holds no signed list, or one whose signature does not fit.
        ManifestError: a listed path leads out of the folder.
    """
    lists: dict[str, _Signed] = {}
    why = ""
    for path in sorted(folder.glob("*.json")):
        try:
            lists[path.name] = _read(path)
        except ProvenanceError as error:
            why = why or f": {error}"
    if not lists:
        raise ProvenanceError(
            f"{folder} holds no signed list{why}",
            hint="name files that are signed themselves; a dataset is checked by assay dataset verify",
        )
    states: dict[str, State] = {}
    for signed in lists.values():
        for name, digest in _files(signed).items():
            if states.get(name, "unchanged") == "unchanged":  # a list beside it excuses no change
                states[name] = _state(inside(folder, name), digest)
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in (*names, *links):
            relative = (Path(place) / name).relative_to(folder).as_posix()
            if relative not in lists:
                states.setdefault(relative, "not listed")
    signers = {name: _signer(signed.certificates) for name, signed in lists.items()}
    return FolderCheck(signers, dict(sorted(states.items())))


def _signer(certificates: str) -> tuple[str, str]:
    return chain_fingerprint(certificates), subject_name(load_chain(certificates)[0])


def _read(path: Path) -> _Signed:
    signed = read_json(path, _Signed, _MAX_BYTES, error=ProvenanceError, hint="restore it from a copy")
    _need_fitting(signed, path)
    return signed


def _need_fitting(signed: _Signed, where: object) -> None:
    try:
        verify_signature(signed.certificates, signed.signature, _canonical(signed.statement))
    except ProvenanceError as error:
        raise ProvenanceError(f"{where}: {error}", hint=error.hint) from error


def _files(signed: _Signed) -> dict[str, str]:
    listed = signed.statement.get("files")
    return {str(name): str(digest) for name, digest in (listed if isinstance(listed, dict) else {}).items()}


def _state(file: Path, digest: str) -> State:
    if file.is_symlink() or (file.exists() and not file.is_file()):
        return "changed"
    if not file.exists():
        return "missing"
    return "unchanged" if sha256_file(file) == digest else "changed"


def _canonical(statement: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(statement, order="sorted")
