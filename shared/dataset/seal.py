"""The seal of a dataset: digests of its lines, tables and settings in ``dataset.sig``, signed as one statement.

A clip carries its own signature (:mod:`shared.provenance.sign`); the seal covers what no clip can say of itself: that
it belongs to this set, in which split, and that no clip is missing. The statement lists every clip's line by digest, so
that a difference can be named. A manifest beside a clip (``.c2pa``) is sealed as a file: its own signature does not
cover all of its bytes.
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
    """Somebody sealed the set over another signer's seal, having accepted that signer.

    Attributes:
        signer, fingerprint: whose seal was taken over.
        number, sha256: which one: its number and the SHA-256 of ``dataset.sig``.
        by: fingerprint of who took it.
    """

    signer: str
    fingerprint: str
    number: int
    sha256: str
    by: str


class _Statement(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is signed. The fields with a default are not in seals of before they were made."""

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
    """What was signed, by whom.

    Attributes:
        clips: text of a clip's id to the SHA-256 of its manifest line.
        files: path of a file in the set to its SHA-256: settings, tables, card, C2PA manifests beside clips.
        roots: PEM of the root certificates whose signers made the clips, the sealer's own among them: what the signer
            says, no reason to trust any of them.
        signer, fingerprint, root: who sealed the set: common name, SHA-256 of the leaf, PEM of the root.
        series, number: the seals of one set count up from 1 in one series, which has a random name; "" and 0 in seals
            of before they were counted.
        accepted: where the set was sealed over another signer's seal.
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
    """How a dataset differs from what was sealed; ids as text, those added with the digests of their lines."""

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
) -> Seal:
    """Signs the dataset as it will be once the files in ``drafts`` have taken their places; writes into ``drafts``.

    Args:
        folder: the dataset.
        dataset: its name.
        identity: who signs.
        drafts: where the seal and the files that change with it are.
        before: the seal that this one replaces: its series goes on, and so do the roots of those who signed clips.
        series: goes on where there is no ``before``; by default a new one begins.
        above: the number is above this and above that of ``before``.

    Raises:
        ManifestError: the manifest cannot be read.
        StorageError: the disk refused.
    """
    lines, sidecars = _read_lines(newest(folder, drafts, MANIFEST))
    statement = _Statement(
        lines,
        dataset,
        _file_digests(folder, drafts, sidecars),
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
    """The seal of a dataset, its signature checked.

    Raises:
        ProvenanceError: there is none, it is damaged, or the signature does not fit the statement.
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
    """How ``folder`` differs from ``seal``, by digests of lines and files; media are not read.

    Files in ``drafts`` count in place of the folder's own: a stopped writer's, which the next one will put there.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    lines, sidecars = _read_lines(newest(folder, drafts, MANIFEST))
    files = _file_digests(folder, drafts, sidecars)
    # A sidecar that came with a clip added since is the next seal's; all that is sealed has to be there.
    names = dict.fromkeys((*seal.files, *_FILES))
    return Difference(
        changed=tuple(clip for clip, digest in lines.items() if seal.clips.get(clip, digest) != digest),
        removed=tuple(clip for clip in seal.clips if clip not in lines),
        added={clip: digest for clip, digest in lines.items() if clip not in seal.clips},
        files=tuple(name for name in names if seal.files.get(name) != files.get(name)),
    )


def newest(folder: Path, drafts: Path | None, name: str) -> Path:
    """Path of a file of the dataset: the one in ``drafts`` where there is one, else the folder's own."""
    if drafts is not None and (drafts / name).is_file():
        return drafts / name
    return folder / name


def _canonical(statement: _Statement) -> bytes:
    return msgspec.json.encode(statement, order="sorted")


def line_digests(folder: Path) -> dict[str, str]:
    """Id of every clip in the manifest of ``folder`` to the SHA-256 of its line.

    Raises:
        ManifestError: the manifest cannot be read.
    """
    return _read_lines(folder / MANIFEST)[0]


def _read_lines(path: Path) -> tuple[dict[str, str], list[str]]:
    """Clip id to digest of its line, and paths of the C2PA manifests that lie beside their clips.

    Of two lines with one id the later counts; :func:`read_manifest` refuses them.
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


def _file_digests(folder: Path, drafts: Path | None, sidecars: Sequence[str]) -> dict[str, str]:
    paths = {name: newest(folder, drafts, name) for name in _FILES}
    digests = {name: sha256_file(path) for name, path in paths.items() if path.is_file()}
    for name in sidecars:
        try:
            path = inside(folder, name)
        except ManifestError:
            # A line whose path leads out has no sidecar here; whoever reads the line refuses it.
            continue
        if path.is_file():
            digests[name] = sha256_file(path)
    return digests
