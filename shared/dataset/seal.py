"""The seal of a dataset: a signed statement of digests of its lines, tables and settings, in ``dataset.sig``.

Each clip has its own signature (:mod:`shared.provenance.sign`); the seal covers that it belongs to this set, its split,
and that no clip is missing. The statement lists the digest of each clip's line, so that differences can be named. A
sidecar manifest (``.c2pa``) is sealed as a file, because its signature does not cover all of its bytes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared.dataset.layout import CARD, FRAMES, MANIFEST, SEAL, SETTINGS, SPLIT_TABLES
from shared.dataset.manifest import manifest_lines, record_digest
from shared.errors import ManifestError, ProvenanceError
from shared.provenance.identity import (
    SigningIdentity,
    chain_fingerprint,
    load_chain,
    root_of,
    subject_name,
    verify_signature,
)
from shared.provenance.read import EMBEDDABLE
from shared.storage import decode_json, inside, read_bytes, sha256_file, write_bytes

_VERSION = 1
_MAX_BYTES = 1 << 30
_ACCEPTED = 256
_FILES = (SETTINGS, FRAMES, CARD, *SPLIT_TABLES.values())


class _Id(msgspec.Struct):
    id: str
    path: str = ""


class Acceptance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record that a signer accepted another signer's seal and replaced it.

    Attributes:
        signer, fingerprint: the signer of the replaced seal.
        number, sha256: its number and the SHA-256 of ``dataset.sig``.
        by: fingerprint of the signer who accepted it.
    """

    signer: str
    fingerprint: str
    number: int
    sha256: str
    by: str


class _Statement(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The signed statement. Fields with a default are missing in older seals."""

    clips: dict[str, str]
    dataset: str
    files: dict[str, str]
    roots: tuple[str, ...]
    series: str = ""
    number: int = 0
    accepted: tuple[Acceptance, ...] = ()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    statement: _Statement
    algorithm: str
    certificates: str
    signature: str


@dataclass(frozen=True)
class Seal:
    """A seal: its statement and its signer.

    Attributes:
        clips: SHA-256 of the manifest line by clip id as text.
        files: SHA-256 by path in the set: settings, tables, card, sidecar manifests.
        roots: PEM of the root certificates of the clips' signers and of the sealer, as stated by the signer; not
            trusted by themselves.
        signer, fingerprint, root: of the seal: common name, SHA-256 of the leaf, PEM of the root.
        series, number: the seals of a set are numbered from 1 in a series with a random name; "" and 0 in older seals.
        accepted: replaced seals of other signers.
        sha256: of the file.
    """

    dataset: str
    clips: Mapping[str, str]
    files: Mapping[str, str]
    roots: tuple[str, ...]
    signer: str
    fingerprint: str
    root: str
    series: str = ""
    number: int = 0
    accepted: tuple[Acceptance, ...] = ()
    sha256: str = ""


@dataclass(frozen=True)
class Difference:
    """Differences of a dataset from its seal; ids as text, added ones with the digests of their lines."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]
    added: Mapping[str, str]
    files: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed or self.added or self.files)


def write_seal(
    folder: Path,
    dataset: str,
    identity: SigningIdentity,
    *,
    drafts: Path,
    before: Seal | None = None,
    series: str = "",
    above: int = 0,
    also: Sequence[str] = (),
) -> Seal:
    """Signs the dataset with the files in ``drafts`` in place of its own; writes the seal into ``drafts``.

    Args:
        folder: the dataset.
        dataset: its name.
        identity: the signer.
        drafts: folder of the seal and the files that change with it.
        before: the seal that is replaced; its series is continued, and roots of clips' signers are kept.
        series: to continue without ``before``; default a new one.
        above: the number is greater than this and than that of ``before``.
        also: further files of the set that are sealed, by their paths in it; those in ``before`` are kept.

    Raises:
        ManifestError: the manifest cannot be read, or a further file is missing or lies elsewhere.
        StorageError: writing failed.
    """
    lines, sidecars = _read_lines(newest(folder, drafts, MANIFEST))
    files = _file_digests(folder, drafts, sidecars)
    files |= _needed_digests(folder, drafts, (*(_further(before) if before else ()), *also))
    statement = _Statement(
        lines,
        dataset,
        files,
        tuple(dict.fromkeys((*(before.roots if before else ()), identity.root))),
        (before.series if before else "") or series or secrets.token_hex(16),
        max(above, before.number if before else 0) + 1,
        _acceptances(before, identity),
    )
    sealed = _File(
        _VERSION,
        statement,
        identity.algorithm,
        identity.certificates,
        identity.sign(_canonical(statement)),
    )
    data = msgspec.json.format(msgspec.json.encode(sealed), indent=1) + b"\n"
    write_bytes(drafts / SEAL, data)
    return _seal_of(sealed, data)


def _acceptances(before: Seal | None, identity: SigningIdentity) -> tuple[Acceptance, ...]:
    if before is None or before.fingerprint == identity.fingerprint:
        return before.accepted if before else ()
    taken = Acceptance(before.signer, before.fingerprint, before.number, before.sha256, identity.fingerprint)
    return (*before.accepted, taken)[-_ACCEPTED:]


def read_seal(folder: Path) -> Seal:
    """Reads the seal of a dataset and verifies its signature.

    Raises:
        ProvenanceError: there is none, it is damaged, or the signature is invalid.
    """
    path = folder / SEAL
    if not path.is_file():
        raise ProvenanceError(f"{path} is missing: nobody signed this set", hint="assay dataset sign PATH")
    data = read_bytes(path, _MAX_BYTES, error=ProvenanceError, hint="restore it from a copy")
    sealed = decode_json(data, _File, path, error=ProvenanceError, hint="restore it from a copy")
    try:
        verify_signature(sealed.certificates, sealed.signature, _canonical(sealed.statement))
    except ProvenanceError as error:
        raise ProvenanceError(f"{path}: {error}", hint="the seal was edited; restore it from a copy") from error
    return _seal_of(sealed, data)


def _seal_of(sealed: _File, data: bytes) -> Seal:
    said = sealed.statement
    return Seal(
        said.dataset,
        said.clips,
        said.files,
        said.roots,
        subject_name(load_chain(sealed.certificates)[0]),
        chain_fingerprint(sealed.certificates),
        root_of(sealed.certificates),
        said.series,
        said.number,
        said.accepted,
        hashlib.sha256(data).hexdigest(),
    )


def difference(folder: Path, seal: Seal, *, drafts: Path | None = None) -> Difference:
    """Differences of ``folder`` from ``seal``, by digests of lines and files; media are not read.

    Files in ``drafts``, left by an interrupted writer, are used in place of the folder's own.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    lines, sidecars = _read_lines(newest(folder, drafts, MANIFEST))
    files = _file_digests(folder, drafts, [*sidecars, *_further(seal)])
    # The sidecar of a clip added since is in the next seal; everything sealed must exist.
    names = dict.fromkeys((*seal.files, *_FILES))
    return Difference(
        changed=tuple(clip for clip, digest in lines.items() if seal.clips.get(clip, digest) != digest),
        removed=tuple(clip for clip in seal.clips if clip not in lines),
        added={clip: digest for clip, digest in lines.items() if clip not in seal.clips},
        files=tuple(name for name in names if seal.files.get(name) != files.get(name)),
    )


def newest(folder: Path, drafts: Path | None, name: str) -> Path:
    """Path of a file of the dataset: in ``drafts`` if there, else in the folder."""
    if drafts is not None and (drafts / name).is_file():
        return drafts / name
    return folder / name


def _canonical(statement: _Statement) -> bytes:
    return msgspec.json.encode(statement, order="sorted")


def line_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each line in the manifest of ``folder``, by clip id.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    return _read_lines(folder / MANIFEST)[0]


def _read_lines(path: Path) -> tuple[dict[str, str], list[str]]:
    """Digest of each line by clip id, and paths of the clips' sidecar manifests.

    Of two lines with one id the later is used; :func:`read_manifest` refuses them.
    """
    digests: dict[str, str] = {}
    sidecars: list[str] = []
    for number, line in manifest_lines(path, partial_tail_ok=True):
        try:
            named = msgspec.json.decode(line, type=_Id)
        except (ValueError, RecursionError) as error:
            where = f"{path}, line {number}"
            raise ManifestError(f"{where}: {error}", hint="restore it from a copy") from error
        digests[named.id] = record_digest(line)
        stem, dot, suffix = named.path.rpartition(".")
        if dot and f".{suffix.lower()}" not in EMBEDDABLE:
            sidecars.append(f"{stem}.c2pa")
    return digests, sidecars


def _further(seal: Seal) -> list[str]:
    """Sealed files that are neither of every set nor sidecar manifests of clips."""
    return [name for name in seal.files if name not in _FILES and not name.endswith(".c2pa")]


def _needed_digests(folder: Path, drafts: Path, names: Sequence[str]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for name in names:
        inside(folder, name)
        path = newest(folder, drafts, name)
        if not path.is_file():
            raise ManifestError(f"{path} is missing and cannot be sealed", hint="restore it from a copy")
        digests[name] = sha256_file(path)
    return digests


def _file_digests(folder: Path, drafts: Path | None, more: Sequence[str]) -> dict[str, str]:
    paths = {name: newest(folder, drafts, name) for name in _FILES}
    digests = {name: sha256_file(path) for name, path in paths.items() if path.is_file()}
    for name in more:
        try:
            inside(folder, name)
        except ManifestError:
            # A path that leads out of the folder names no file of the set; reading its line refuses it.
            continue
        path = newest(folder, drafts, name)
        if path.is_file():
            digests[name] = sha256_file(path)
    return digests
