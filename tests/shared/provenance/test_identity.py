"""The local identity: made once, kept private, of the profile C2PA asks for; and signatures that hold or do not."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from shared.errors import ProvenanceError
from shared.provenance.identity import (
    SigningIdentity,
    choose_identity,
    forget_choice,
    identity_folder,
    load_chain,
    local_root,
    verify_signature,
)


def _own_chain(folder: Path, key: object, *, days: int = 30) -> tuple[Path, Path]:
    """A chain of one self-made leaf for ``key``, and the key, as PEM files."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "newsroom")])
    issuer = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())  # type: ignore[attr-defined]
        .serial_number(7)
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .sign(issuer, hashes.SHA256())
    )
    chain, private = folder / "own.pem", folder / "own.key"
    chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(  # type: ignore[attr-defined]
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return chain, private


def test_the_identity_is_made_once_and_only_its_owner_can_read_the_key(tmp_path: Path):
    first = SigningIdentity.load_or_create(tmp_path / "signing")
    again = SigningIdentity.load_or_create(tmp_path / "signing")
    assert first.fingerprint == again.fingerprint
    assert stat.S_IMODE((tmp_path / "signing" / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "signing").stat().st_mode) == 0o700
    assert "PRIVATE" not in repr(first)
    assert not list(tmp_path.glob("**/*root*"))  # the root's key is not kept


def test_several_processes_that_start_together_get_one_identity(tmp_path: Path):
    with ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda _: SigningIdentity.load_or_create(tmp_path / "signing").fingerprint, range(4))
    assert len(set(made)) == 1


def test_the_leaf_follows_the_certificate_profile(tmp_path: Path):
    leaf, root = load_chain(SigningIdentity.load_or_create(tmp_path / "signing").certificates)
    extension = leaf.extensions.get_extension_for_class
    usage = extension(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert list(extension(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert not extension(x509.BasicConstraints).value.ca
    issuer_id = extension(x509.AuthorityKeyIdentifier).value.key_identifier
    assert issuer_id == root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    assert leaf.issuer == root.subject != leaf.subject
    leaf.verify_directly_issued_by(root)


def test_nothing_is_made_by_asking_for_the_local_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    assert local_root() is None
    assert not identity_folder().exists()
    made = SigningIdentity.load_or_create()
    assert local_root() == made.root


def test_a_key_that_others_can_read_is_refused(tmp_path: Path):
    SigningIdentity.load_or_create(tmp_path / "signing")
    (tmp_path / "signing" / "key.pem").chmod(0o644)
    with pytest.raises(ProvenanceError, match="others may read") as caught:
        SigningIdentity.load_or_create(tmp_path / "signing")
    assert "chmod 600" in (caught.value.hint or "")


def test_a_key_of_another_chain_and_damaged_files_are_refused(tmp_path: Path):
    mine, other = tmp_path / "mine", tmp_path / "other"
    SigningIdentity.load_or_create(mine)
    SigningIdentity.load_or_create(other)
    (mine / "chain.pem").write_bytes((other / "chain.pem").read_bytes())
    with pytest.raises(ProvenanceError, match="is not the key of"):
        SigningIdentity.load_or_create(mine)
    (mine / "chain.pem").write_text("nonsense")
    with pytest.raises(ProvenanceError, match="no readable certificates"):
        SigningIdentity.load_or_create(mine)
    (other / "key.pem").write_text("nonsense")
    with pytest.raises(ProvenanceError, match="not an unencrypted PEM"):
        SigningIdentity.load_or_create(other)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "es256"),
        (ec.generate_private_key(ec.SECP384R1()), "es384"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        (rsa.generate_private_key(65537, 2048), "ps256"),
    ],
)
def test_ones_own_chain_signs_whatever_its_kind(tmp_path: Path, key: object, algorithm: str):
    _own_chain(tmp_path, key)
    (tmp_path / "signing.toml").write_text('chain = "own.pem"\nkey = "own.key"\n')
    own = SigningIdentity.load_or_create(tmp_path)
    assert (own.name, own.algorithm) == ("newsroom", algorithm)
    signature = own.sign(b"words")
    verify_signature(own.certificates, signature, b"words")
    with pytest.raises(ProvenanceError, match="does not fit"):
        verify_signature(own.certificates, signature, b"other words")


def test_an_expired_certificate_and_a_foreign_curve_are_refused(tmp_path: Path):
    chain, key = _own_chain(tmp_path, ec.generate_private_key(ec.SECP256R1()), days=-1)
    with pytest.raises(ProvenanceError, match="expired on"):
        SigningIdentity.from_files(chain, key)
    chain, key = _own_chain(tmp_path, ec.generate_private_key(ec.SECP256K1()))
    with pytest.raises(ProvenanceError, match="secp256k1"):
        SigningIdentity.from_files(chain, key)


def test_certificates_that_form_no_chain_do_not_verify(tmp_path: Path):
    one = SigningIdentity.load_or_create(tmp_path / "one")
    two = SigningIdentity.load_or_create(tmp_path / "two")
    leaf = one.certificates.split("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n"
    with pytest.raises(ProvenanceError, match="do not form a chain"):
        verify_signature(leaf + two.root, one.sign(b"x"), b"x")
    with pytest.raises(ProvenanceError, match="does not fit"):
        verify_signature(two.certificates, one.sign(b"x"), b"x")


def test_ones_own_chain_is_chosen_and_forgotten(tmp_path: Path):
    local = SigningIdentity.load_or_create()
    chain, key = _own_chain(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    chosen = choose_identity(chain, key)
    assert chosen.name == "newsroom"
    assert SigningIdentity.load_or_create().fingerprint == chosen.fingerprint
    assert local_root() == chosen.root
    assert forget_choice().fingerprint == local.fingerprint
    assert local_root() == local.root


def test_a_chain_that_does_not_fit_is_not_chosen(tmp_path: Path):
    local = SigningIdentity.load_or_create()
    chain, _ = _own_chain(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "other").mkdir()
    _, wrong = _own_chain(tmp_path / "other", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ProvenanceError, match="is not the key of"):
        choose_identity(chain, wrong)
    assert SigningIdentity.load_or_create().fingerprint == local.fingerprint
