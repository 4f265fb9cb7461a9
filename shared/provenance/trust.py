"""Known signers: the user's own identities, and others accepted by fingerprint.

Kept only in ``trusted.toml`` in the user's config folder, never in a dataset or a file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.config import load_toml, write_toml
from shared.errors import UsageError
from shared.home import config_home
from shared.provenance.identity import chain_fingerprint, load_chain, own_chains, root_of, subject_name
from shared.storage import folder_lock

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KnownSigner:
    """A known signer.

    Attributes:
        fingerprint: SHA-256 of the leaf certificate, in hex.
        name, root: common name of the leaf and PEM of the root; empty until a signature is seen.
        since: date of acceptance; empty for the user's own identities.
    """

    fingerprint: str
    name: str = ""
    root: str = ""
    since: str = ""


@dataclass(frozen=True)
class _Trusted:
    signers: tuple[KnownSigner, ...] = ()


def parse_fingerprint(text: str) -> str:
    """A fingerprint in canonical form: 64 lower-case hex digits without colons.

    Raises:
        UsageError: it is not a SHA-256.
    """
    plain = text.strip().lower().replace(":", "")
    if not _FINGERPRINT.fullmatch(plain):
        raise UsageError(f"{text!r} is no fingerprint", hint="64 hex digits, as assay dataset identity prints them")
    return plain


def known_signers() -> dict[str, KnownSigner]:
    """All known signers by fingerprint, the user's own first. No identity is made.

    Raises:
        ProvenanceError: the user's own certificates are damaged.
        ConfigError: the list is damaged.
    """
    own = [KnownSigner(chain_fingerprint(pem), subject_name(load_chain(pem)[0]), root_of(pem)) for pem in own_chains()]
    return {signer.fingerprint: signer for signer in (*_read().signers, *own)}


def known_roots() -> str:
    """Concatenated PEM of the roots of all known signers; empty if there are none.

    Raises:
        ProvenanceError, ConfigError: see :func:`known_signers`.
    """
    return "".join(dict.fromkeys(signer.root for signer in known_signers().values()))


def trust_signer(fingerprint: str, *, name: str = "", root: str = "") -> KnownSigner:
    """Accepts the signer with ``fingerprint``; fills in unknown fields.

    Raises:
        UsageError: it is not a fingerprint.
        StorageError: the list cannot be written.
    """
    wanted = KnownSigner(parse_fingerprint(fingerprint), name, root, f"{datetime.now(UTC):%Y-%m-%d}")

    def add(signers: dict[str, KnownSigner]) -> None:
        known = signers.get(wanted.fingerprint, wanted)
        signers[wanted.fingerprint] = dataclasses.replace(known, name=known.name or name, root=known.root or root)

    return _change(add).get(wanted.fingerprint, wanted)


def distrust_signer(fingerprint: str) -> None:
    """Removes the signer with ``fingerprint`` from the accepted ones.

    Raises:
        UsageError: it was not accepted.
        StorageError: the list cannot be written.
    """
    gone = parse_fingerprint(fingerprint)

    def drop(signers: dict[str, KnownSigner]) -> None:
        if signers.pop(gone, None) is None:
            raise UsageError(f"{gone} was not accepted", hint="assay dataset identity lists who was")

    _change(drop)


def _change(change: Callable[[dict[str, KnownSigner]], None]) -> dict[str, KnownSigner]:
    with folder_lock(config_home() / ".trusted.lock"):
        signers = {signer.fingerprint: signer for signer in _read().signers}
        change(signers)
        write_toml(_path(), _Trusted(tuple(signers.values())))
    return signers


def _read() -> _Trusted:
    return load_toml(_Trusted, _path()) if _path().exists() else _Trusted()


def _path() -> Path:
    return config_home() / "trusted.toml"
