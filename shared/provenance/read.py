"""Reads and validates C2PA manifests, embedded or in a sidecar. Uses no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import c2pa

from shared.errors import ProvenanceError
from shared.provenance.identity import local_root
from shared.provenance.interrupts import interrupts_held
from shared.provenance.media_type import ANY_TYPE, media_type_of
from shared.provenance.types import (
    BINDING_LABEL,
    RECORD_LABEL,
    Action,
    Ingredient,
    Provenance,
    Signer,
    SoftBinding,
)
from shared.storage import decode_json

EMBEDDABLE = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
_MAX_SIDECAR_BYTES = 64 << 20
# Description box of a C2PA manifest store: the box type and the start of its UUID (ISO 19566-5; C2PA 2.x, 11.1.4.2).
_STORE_MARK = b"jumdc2pa\x00\x11\x00\x10"
_OFFLINE: dict[str, Any] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    "builder": {"thumbnail": {"enabled": False}},
}

_REASONS = {
    "assertion.bmffHash.mismatch": "the media was changed after it was signed",
    "assertion.dataHash.mismatch": "the media was changed after it was signed",
    "assertion.boxesHash.mismatch": "the media was changed after it was signed",
    "assertion.hashedURI.mismatch": "a statement in the manifest was changed after it was signed",
    "assertion.missing": "a statement that was signed is gone from the manifest",
    "assertion.undeclared": "the manifest holds a statement that was not signed",
    "claimSignature.mismatch": "the signature does not fit the claim",
    "claimSignature.missing": "the signature is gone from the manifest",
    "claimSignature.outsideValidity": "it was signed outside the certificate's time of validity",
    "signingCredential.invalid": "the signer's certificate may not sign content",
    "signingCredential.expired": "the signer's certificate has expired",
    "signingCredential.ocsp.revoked": "the signer's certificate was revoked",
}
_NOT_A_FAULT = frozenset({"signingCredential.untrusted"})


def sidecar_of(path: Path) -> Path | None:
    """Path of the sidecar manifest of ``path``; None if its container can embed one."""
    return None if path.suffix.lower() in EMBEDDABLE else path.with_suffix(".c2pa")


def read_provenance(path: Path, anchors: str | None = None) -> Provenance | None:
    """The manifest of ``path``, embedded or in a sidecar; None if there is none.

    ``anchors`` (PEM) are the trusted roots, by default that of the local identity.

    Raises:
        ProvenanceError: the file cannot be read.
    """
    roots = anchors if anchors is not None else local_root()
    beside = path.with_suffix(".c2pa")
    sidecar = beside if beside != path and beside.is_file() else None
    try:
        # If the container can embed a manifest, a sidecar is ignored.
        store = read_store(path, None, roots) if sidecar_of(path) is None or sidecar is None else None
        embedded = store is not None
        if store is None and sidecar is not None:
            store = read_store(path, sidecar, roots)
    except OSError as error:
        raise ProvenanceError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    except c2pa.C2paError as error:
        return _unreadable(path, error, has_sidecar=sidecar is not None)
    except ProvenanceError as error:
        return _damaged(str(error), embedded=sidecar is None)
    if store is not None:
        return provenance_of(store, embedded=embedded)
    return _damaged("it is not where the container should keep it", embedded=True) if _holds_manifest(path) else None


def offline_context(roots: str | None) -> c2pa.Context:
    """Settings of the library that keep it off the network, with ``roots`` (PEM) as its only trust anchors."""
    settings = dict(_OFFLINE)
    if roots:
        settings["trust"] = {"user_anchors": roots}
    return c2pa.Context.from_dict(settings)


def open_reader(media_type: str | None, file: Any, manifest: bytes | None, roots: str | None) -> c2pa.Reader | None:
    """The library's reader of an open file; None if there is no manifest."""
    return c2pa.Reader.try_create(media_type, file, manifest, offline_context(roots))


@interrupts_held()
def read_store(path: Path, sidecar: Path | None, roots: str | None) -> dict[str, Any] | None:
    """The manifest store as reported by the library; None without a manifest.

    Raises:
        c2pa.C2paError: the file or its manifest cannot be parsed.
        ProvenanceError: the manifest is nested too deeply.
        OSError: the file cannot be read.
    """
    manifest = None
    media_type = None if sidecar is not None else _embedded_type(path)
    if sidecar is not None:
        if sidecar.stat().st_size > _MAX_SIDECAR_BYTES:
            raise c2pa.C2paError("the sidecar is larger than 64 MiB")
        manifest, media_type = sidecar.read_bytes(), ANY_TYPE
    with path.open("rb") as file:
        reader = open_reader(media_type, file, manifest, roots)
        if reader is None:
            return None
        with reader:
            return decode_json(reader.json(), dict, "what it says", error=ProvenanceError)


def _embedded_type(path: Path) -> str | None:
    """The media type for reading an embedded manifest of ``path``: by content, else by name."""
    found = media_type_of(path)
    return found if found != ANY_TYPE else EMBEDDABLE.get(path.suffix.lower())


def _unreadable(path: Path, error: c2pa.C2paError, *, has_sidecar: bool) -> Provenance | None:
    """The result for a file that the library cannot parse: None if it has no trace of a manifest."""
    if str(error).startswith("RemoteManifest"):
        return _damaged("it lies at an address on the network and was not fetched", embedded=False)
    if has_sidecar or _holds_manifest(path):
        return _damaged(str(error), embedded=not has_sidecar)
    return None


def _damaged(reason: str, *, embedded: bool) -> Provenance:
    problem = f"it has a manifest that cannot be read: {reason}"
    return Provenance(False, None, "", "", (), (), (problem,), embedded=embedded)


def _holds_manifest(path: Path) -> bool:
    """Whether the file contains a JUMBF box of a C2PA manifest store."""
    tail = b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if _STORE_MARK in tail + block:
                return True
            tail = block[-len(_STORE_MARK) :]
    return False


def provenance_of(store: Mapping[str, Any], *, embedded: bool) -> Provenance:
    """The library's report as a value. All types in it are checked."""
    manifest = _mapping(_mapping(store.get("manifests")).get(str(store.get("active_manifest"))))
    results = _mapping(store.get("validation_results"))
    state = store.get("validation_state")
    assertions = _assertions(manifest)
    listed = _mapping(assertions.get("c2pa.actions.v2") or assertions.get("c2pa.actions")).get("actions")
    generators = [_mapping(entry) for entry in _list(manifest.get("claim_generator_info"))]
    return Provenance(
        valid=state in ("Valid", "Trusted"),
        signer=_read_signer(_mapping(manifest.get("signature_info")), trusted=state == "Trusted"),
        title=_text(manifest.get("title")),
        generator=" ".join(part for part in (_text(entry.get("name")) for entry in generators) if part),
        actions=tuple(_read_action(_mapping(action)) for action in _list(listed)),
        ingredients=tuple(_read_ingredient(_mapping(entry)) for entry in _list(manifest.get("ingredients"))),
        problems=_problems(results),
        record=_mapping(assertions[RECORD_LABEL]) if RECORD_LABEL in assertions else None,
        embedded=embedded,
        bindings=tuple(_read_bindings(manifest)),
    )


def _read_bindings(manifest: Mapping[str, Any]) -> Iterator[SoftBinding]:
    """Of every soft-binding assertion; the library numbers them from the second on (``c2pa.soft-binding__1``)."""
    for entry in map(_mapping, _list(manifest.get("assertions"))):
        if _text(entry.get("label")).partition("__")[0] == BINDING_LABEL:
            data = _mapping(entry.get("data"))
            for block in map(_mapping, _list(data.get("blocks"))):
                yield SoftBinding(_text(data.get("alg")), _text(block.get("value")))


def _assertions(manifest: Mapping[str, Any]) -> dict[str, Any]:
    entries = (_mapping(entry) for entry in _list(manifest.get("assertions")))
    return {_text(entry.get("label")): entry.get("data") for entry in entries}


def _problems(results: Mapping[str, Any]) -> tuple[str, ...]:
    found = [_reason(_mapping(entry)) for entry in _list(_mapping(results.get("activeManifest")).get("failure"))]
    for delta in _list(results.get("ingredientDeltas")):
        failures = _list(_mapping(_mapping(delta).get("validationDeltas")).get("failure"))
        found += [f"ingredient: {reason}" for reason in map(_reason, map(_mapping, failures)) if reason]
    return tuple(dict.fromkeys(reason for reason in found if reason))


def _reason(entry: Mapping[str, Any]) -> str:
    code = _text(entry.get("code"))
    if code in _NOT_A_FAULT:
        return ""
    place = _text(entry.get("url")).rpartition("/")[2]
    if code in _REASONS:
        return f"{_REASONS[code]} ({place})" if code.startswith("assertion.hashedURI") else _REASONS[code]
    return f"{_text(entry.get('explanation')) or 'unknown fault'} ({code})"


def _read_signer(info: Mapping[str, Any], *, trusted: bool) -> Signer | None:
    if not info:
        return None
    return Signer(
        name=_text(info.get("common_name")),
        organization=_text(info.get("issuer")),
        serial=_text(info.get("cert_serial_number")),
        algorithm=_text(info.get("alg")).lower(),
        trusted=trusted,
    )


def _read_action(action: Mapping[str, Any]) -> Action:
    parameters = _mapping(action.get("parameters"))
    plain = {str(key): value for key, value in parameters.items() if isinstance(value, str)}
    source = _text(action.get("digitalSourceType")) or None
    return Action(_text(action.get("action")), _text(action.get("description")), source, plain)


def _read_ingredient(entry: Mapping[str, Any]) -> Ingredient:
    digest = _text(_mapping(entry.get("metadata")).get("sha256")) or None
    return Ingredient(_text(entry.get("title")), _text(entry.get("format")), _text(entry.get("relationship")), digest)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
