"""Signing identities: a private key with its certificate chain, made on first use or provided by the user.

The generated chain is a private root and one leaf. The leaf follows the certificate profile of C2PA (C2PA Technical
Specification 2.x, "X.509 certificates"): not self-signed, not a CA, digitalSignature as its only key usage, an extended
key usage that allows signing content (emailProtection), subject and authority key identifiers. The root's key is
discarded once the leaf is signed, so nothing else can be signed with it.

No timestamp authority is used (Assay works without a network), so a signature is valid as long as its certificate: 20
years.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.config import load_toml, write_toml
from shared.errors import ProvenanceError, storage_errors
from shared.home import config_home
from shared.storage import folder_lock, replacing_folder

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

_CHAIN_NAME = "chain.pem"
_KEY_NAME = "key.pem"
_CHOICE_NAME = "signing.toml"
_YEARS = 20
_MAX_PEM_BYTES = 1 << 18
_EC_ALGORITHMS = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_EC_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


@dataclass(frozen=True)
class SigningChoice:
    """The contents of ``signing.toml`` in the user's config folder: a chain to use instead of the generated one.

    ``chain`` is a PEM file, leaf first, root last; ``key`` the leaf's private key in PEM, not encrypted. Relative
    paths are relative to the folder of ``signing.toml``.
    """

    chain: Path
    key: Path


@dataclass(frozen=True)
class SigningIdentity:
    """A private key and its certificates.

    Attributes:
        certificates: PEM chain, leaf first, root last.
        algorithm: C2PA's name of the signature algorithm: es256, es384, es512, ps256 or ed25519.
    """

    certificates: str = field(repr=False)
    algorithm: str
    key: PrivateKey = field(repr=False)

    @classmethod
    def load_or_create(cls, folder: Path | None = None) -> SigningIdentity:
        """The user's identity in ``folder`` (default ``signing/`` in the config folder), made on first use.

        A ``signing.toml`` (:class:`SigningChoice`) in that folder selects another chain and key.

        Raises:
            ProvenanceError: the files are damaged, do not belong together, have expired, or others can read the key.
            StorageError: the folder cannot be written.
        """
        place = folder or identity_folder()
        if (place / _CHOICE_NAME).exists():
            choice = load_toml(SigningChoice, place / _CHOICE_NAME)
            return cls.from_files(place / choice.chain, place / choice.key)
        with folder_lock(place.parent / f".{place.name}.lock"):
            if not (place / _KEY_NAME).exists():
                _create(place)
        return cls.from_files(place / _CHAIN_NAME, place / _KEY_NAME)

    @classmethod
    def from_files(cls, chain: Path, key: Path) -> SigningIdentity:
        """An identity from PEM files.

        Raises:
            ProvenanceError: as :meth:`load_or_create`.
        """
        _refuse_open_key(key)
        text = _read_pem(chain).decode("ascii", errors="replace")
        private = _parse_key(_read_pem(key), key)
        leaf = load_chain(text, chain)[0]
        if _public_bytes(leaf.public_key()) != _public_bytes(private.public_key()):
            raise ProvenanceError(
                f"{key} is not the key of {chain}", hint="the leaf certificate comes first in the chain"
            )
        if leaf.not_valid_after_utc < datetime.now(UTC):
            raise ProvenanceError(
                f"the signing certificate in {chain} expired on {leaf.not_valid_after_utc:%Y-%m-%d}",
                hint="move that folder away; a new identity is made on next use",
            )
        return cls(text, _algorithm(private, key), private)

    @property
    def name(self) -> str:
        """The leaf's common name."""
        return subject_name(load_chain(self.certificates)[0])

    @property
    def expires(self) -> datetime:
        """When the leaf certificate, and with it its signatures, expires."""
        return load_chain(self.certificates)[0].not_valid_after_utc

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the leaf certificate, in hex, by which people identify a signer."""
        return chain_fingerprint(self.certificates)

    @property
    def root(self) -> str:
        """PEM of the last certificate of the chain, the trust anchor."""
        return root_of(self.certificates)

    def key_pem(self) -> bytes:
        """The private key as PKCS 8 PEM, for signing libraries."""
        return _private_pem(self.key)

    def mac(self, data: bytes) -> str:
        """HMAC-SHA256 of ``data`` in hex, with a key derived from the private key."""
        return hmac.new(hashlib.sha256(b"assay mac\0" + self.key_pem()).digest(), data, "sha256").hexdigest()

    def sign(self, data: bytes) -> str:
        """A signature over ``data`` that :func:`verify_signature` accepts, in base64."""
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            signature = self.key.sign(data, ec.ECDSA(_EC_HASHES[self.key.curve.name]))
        elif isinstance(self.key, rsa.RSAPrivateKey):
            signature = self.key.sign(data, _PSS, hashes.SHA256())
        else:
            signature = self.key.sign(data)
        return base64.b64encode(signature).decode("ascii")


def identity_folder() -> Path:
    """Folder of the local identity."""
    return config_home() / "signing"


def choose_identity(chain: Path, key: Path, folder: Path | None = None) -> SigningIdentity:
    """Selects ``chain`` and ``key`` for signing (PEM files, which are not copied).

    Raises:
        ProvenanceError: they are damaged, do not belong together, have expired, or others can read the key.
        StorageError: the choice cannot be written.
    """
    identity = SigningIdentity.from_files(chain, key)
    place = (folder or identity_folder()) / _CHOICE_NAME
    write_toml(place, SigningChoice(chain.resolve(), key.resolve()))
    return identity


def forget_choice(folder: Path | None = None) -> SigningIdentity:
    """Selects the local identity for signing again; it is made if there is none.

    Raises:
        ProvenanceError: the local identity is damaged.
        StorageError: the folder cannot be written.
    """
    place = folder or identity_folder()
    with storage_errors(place):
        (place / _CHOICE_NAME).unlink(missing_ok=True)
    return SigningIdentity.load_or_create(place)


def local_root() -> str | None:
    """PEM of the local identity's root; None if there is no identity. None is made.

    Raises:
        ProvenanceError: the files are damaged.
    """
    place = identity_folder()
    if not (place / _CHOICE_NAME).exists() and not (place / _KEY_NAME).exists():
        return None
    return SigningIdentity.load_or_create(place).root


def own_chains() -> tuple[str, ...]:
    """PEM chains of the local and of the selected identity, if they exist. None is made.

    Raises:
        ProvenanceError: a file is damaged.
    """
    place, chains = identity_folder(), []
    if (place / _CHAIN_NAME).exists():
        chains.append(place / _CHAIN_NAME)
    if (place / _CHOICE_NAME).exists():
        chains.append(place / load_toml(SigningChoice, place / _CHOICE_NAME).chain)
    return tuple(_read_pem(chain).decode("ascii", errors="replace") for chain in chains)


def verify_signature(certificates: str, signature: str, data: bytes) -> None:
    """Verifies that ``signature`` (base64) over ``data`` was made with the leaf key of a valid chain.

    Does not identify the signer: compare :func:`chain_fingerprint` or the root with that of a known one.

    Raises:
        ProvenanceError: the chain or the signature is invalid.
    """
    chain = load_chain(certificates)
    for child, issuer in itertools.pairwise(chain):
        try:
            child.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
            raise ProvenanceError("the certificates of the signature do not form a chain") from error
    try:
        public = chain[0].public_key()
        raw = base64.b64decode(signature, validate=True)
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(raw, data, ec.ECDSA(_EC_HASHES.get(public.curve.name, hashes.SHA256())))
        elif isinstance(public, rsa.RSAPublicKey):
            public.verify(raw, data, _PSS, hashes.SHA256())
        elif isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(raw, data)
        else:
            raise ProvenanceError("the signature uses a key of an unknown kind")
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ProvenanceError("the signature does not fit what it signs") from error


def load_chain(pem: str, where: Path | None = None) -> list[x509.Certificate]:
    """The certificates of a PEM text, leaf first.

    Raises:
        ProvenanceError: not PEM certificates, or none.
    """
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise ProvenanceError(f"{where or 'the chain'} holds no readable certificates: {error}") from error


def root_of(pem: str) -> str:
    """PEM of the last certificate of a chain."""
    return _pem(load_chain(pem)[-1])


def chain_fingerprint(pem: str) -> str:
    """SHA-256 of a chain's leaf certificate, in hex."""
    return load_chain(pem)[0].fingerprint(hashes.SHA256()).hex()


def subject_name(certificate: x509.Certificate) -> str:
    """The common name of a certificate's subject, or the whole subject if it has none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def _create(place: Path) -> None:
    """Writes a new root, leaf and key; the folder appears atomically."""
    now = datetime.now(UTC)
    tag = secrets.token_hex(4)
    root_key = ec.generate_private_key(ec.SECP256R1())
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    root_name = _subject(f"assay local root {tag}")
    root = (
        _certificate(root_name, root_name, root_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    root_id = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    leaf = (
        _certificate(_subject(f"assay local signer {tag}"), root_name, leaf_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    with replacing_folder(place) as draft:
        draft.chmod(0o700)
        (draft / _CHAIN_NAME).write_text(_pem(leaf) + _pem(root), encoding="ascii")
        handle = os.open(draft / _KEY_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(_private_pem(leaf_key))


def _certificate(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    """A certificate builder; validity starts a day earlier, because the verifier's clock may be behind."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _subject(common_name: str) -> x509.Name:
    """A subject without user or machine name, because the certificate is in every signed clip."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Assay local identity"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _refuse_open_key(path: Path) -> None:
    if os.name == "posix" and path.exists() and path.stat().st_mode & 0o077:
        raise ProvenanceError(f"others may read the private key {path}", hint=f"chmod 600 {path}")


def _read_pem(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_PEM_BYTES:
            raise ProvenanceError(f"{path} is too large for a PEM file", hint="check the path in signing.toml")
        return path.read_bytes()
    except OSError as error:
        raise ProvenanceError(f"{path} cannot be read", hint="check the path and its permissions") from error


def _parse_key(data: bytes, path: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ProvenanceError(f"{path} is not an unencrypted PEM private key", hint="PKCS 8, no password") from error
    if isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey):
        return key
    raise ProvenanceError(f"{path} holds a key of a kind C2PA does not take", hint="use P-256, Ed25519 or RSA")


def _algorithm(key: PrivateKey, path: Path) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    if key.curve.name not in _EC_ALGORITHMS:
        raise ProvenanceError(f"{path} lies on {key.curve.name}, which C2PA does not take", hint="use P-256")
    return _EC_ALGORITHMS[key.curve.name]


def _public_bytes(key: object) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]


def _private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
