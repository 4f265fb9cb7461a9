"""A signed list of files that lie beside it: what they are, how they were made, and the digest of each.

For outputs that are folders of pictures and no data set: frames and patches. The signature is made as that of a data
set's seal, with the user's own identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from shared.errors import ProvenanceError
from shared.provenance.identity import SigningIdentity, verify_signature
from shared.storage import inside, read_json, sha256_file, write_bytes

_VERSION = 1
_MAX_BYTES = 1 << 30


class _Signed(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    statement: dict[str, Any]
    algorithm: str
    certificates: str
    signature: str


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
    signed = read_json(path, _Signed, _MAX_BYTES, error=ProvenanceError, hint="restore it from a copy")
    verify_signature(signed.certificates, signed.signature, _canonical(signed.statement))
    listed = signed.statement.get("files")
    for name, digest in (listed if isinstance(listed, dict) else {}).items():
        file = inside(path.parent, str(name))
        if not file.is_file() or sha256_file(file) != digest:
            raise ProvenanceError(f"{file} is not what was signed", hint="restore it from a copy")
    return signed.statement


def _canonical(statement: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(statement, order="sorted")
