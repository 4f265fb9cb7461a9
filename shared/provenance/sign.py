"""Signs clips with their origin and edits (C2PA, Content Credentials).

A signature proves that these bytes with these statements were signed by the holder of a key. A missing manifest proves
nothing.

mp4, mov, avi and the common audio and image files embed the manifest. Others (mkv, webm, mpg, ...) get a sidecar file,
``clip.c2pa`` for ``clip.mkv``, which also covers the clip's bytes.

No network is used: no timestamp authority, no OCSP, no remote manifests.

Digital source types are IPTC's (https://cv.iptc.org/newscodes/digitalsourcetype/): a swap is a composite with output of
a trained model. A real clip that was only re-encoded stays ``digitalCapture``: the type is the origin of the pictures,
and C2PA separates transcoding from editing (``c2pa.transcoded``); ``algorithmicallyEnhanced`` would state a correction.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import c2pa

import shared
from shared.errors import ProvenanceError, storage_errors
from shared.provenance.identity import SigningIdentity
from shared.provenance.interrupts import interrupts_held
from shared.provenance.media_type import ANY_TYPE, media_type_of
from shared.provenance.read import (
    EMBEDDABLE,
    offline_context,
    provenance_of,
    read_store,
    sidecar_of,
)
from shared.provenance.types import (
    BINDING_LABEL,
    COMPOSITE_WITH_MODEL,
    RECORD_LABEL,
    Action,
    SoftBinding,
    mark_text,
)
from shared.storage import draft_beside, replacing, sha256_file

_PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


@interrupts_held()
def sign_clip(
    path: Path,
    identity: SigningIdentity,
    *,
    title: str,
    actions: Sequence[Action],
    ingredient: Path | None,
    digital_source_type: str | None,
    record: Mapping[str, str | int | None],
    bindings: Sequence[SoftBinding] = (),
) -> str:
    """Signs ``path`` in place, atomically, after verifying the new signature.

    The manifest has an action "opened" of ``ingredient`` (or "created", without one), then ``actions``. The source type
    is set on the creation, else on the last action; None leaves it out, for material of unknown origin. ``record``
    becomes the assertion ``assay.clip``, with the SHA-256 of the ingredient and of the clip before signing. Each of
    ``bindings``, the marks in the content, becomes a soft binding; the record names them, or says that there is none.

    Returns:
        SHA-256 of the file before signing.

    Raises:
        ProvenanceError: the certificate is refused, or a file does not match its media type.
        StorageError: writing failed.
    """
    content = sha256_file(path)
    facts = dict(record) | {"content_sha256": content, "mark": mark_text(bindings)}
    if ingredient is not None:
        facts["ingredient_sha256"] = sha256_file(ingredient)
    definition = _definition(title, actions, ingredient is not None, digital_source_type, facts, bindings)
    sidecar = sidecar_of(path)
    try:
        builder = c2pa.Builder.from_json(json.dumps(definition), offline_context(identity.root))
        if ingredient is not None:
            _add_parent(builder, ingredient, str(facts["ingredient_sha256"]))
        if sidecar is None:
            _embed(builder, path, identity)
        else:
            _write_sidecar(builder, path, sidecar, identity)
    except c2pa.C2paError as error:
        raise ProvenanceError(f"{path} cannot be signed: {error}", hint="check the file and signing.toml") from error
    return content


@interrupts_held()
def need_signable(identity: SigningIdentity, ingredient: Path | None) -> None:
    """Signs a tiny picture in memory, to find a refused certificate or ingredient before any work.

    Raises:
        ProvenanceError: signing fails.
    """
    try:
        definition = _definition("trial", [Action("c2pa.edited")], ingredient is not None, COMPOSITE_WITH_MODEL, {})
        builder = c2pa.Builder.from_json(json.dumps(definition), offline_context(identity.root))
        if ingredient is not None:
            _add_parent(builder, ingredient, "0" * 64)
        with _signer(identity) as signer:
            builder.sign(signer, "image/png", io.BytesIO(_PNG), io.BytesIO())
    except (c2pa.C2paError, OSError) as error:
        raise ProvenanceError(
            f"what is made of {ingredient} cannot be signed: {error}", hint="check the file and signing.toml"
        ) from error


def _definition(
    title: str,
    actions: Sequence[Action],
    has_parent: bool,
    source_type: str | None,
    facts: Mapping[str, Any],
    bindings: Sequence[SoftBinding] = (),
) -> dict[str, Any]:
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent"]}}
    listed = [opened if has_parent else {"action": "c2pa.created"}, *(_action_json(action) for action in actions)]
    if source_type is not None:
        listed[-1 if has_parent else 0]["digitalSourceType"] = source_type
    return {
        "claim_generator_info": [{"name": "assay", "version": shared.__version__}],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "created": True, "data": {"actions": listed}},
            {"label": RECORD_LABEL, "created": True, "data": dict(facts)},
            *({"label": BINDING_LABEL, "created": True, "data": _binding_json(binding)} for binding in bindings),
        ],
    }


def _binding_json(binding: SoftBinding) -> dict[str, Any]:
    """C2PA Technical Specification 2.x, "Soft bindings": one block over the whole content."""
    return {"alg": binding.algorithm, "pad": [], "blocks": [{"scope": {}, "value": binding.value}]}


def _action_json(action: Action) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "action": action.name,
        "softwareAgent": {"name": "assay", "version": shared.__version__},
    }
    if action.description:
        plain["description"] = action.description
    if action.digital_source_type:
        plain["digitalSourceType"] = action.digital_source_type
    if action.parameters:
        plain["parameters"] = dict(action.parameters)
    return plain


def _add_parent(builder: c2pa.Builder, path: Path, sha256: str) -> None:
    """Adds the parent, of any type, with its manifest if its type can embed one."""
    entry = {"title": path.name, "relationship": "parentOf", "label": "parent", "metadata": {"sha256": sha256}}
    media_type = media_type_of(path)
    with path.open("rb") as file:
        try:
            builder.add_ingredient(entry, media_type, file)
        except c2pa.C2paError:
            if media_type == ANY_TYPE:
                raise
            # The library cannot parse it: only its hash is stated.
            file.seek(0)
            builder.add_ingredient(entry, ANY_TYPE, file)


def _signer(identity: SigningIdentity) -> c2pa.Signer:
    # The library passes these to C by pointer, where None means no timestamp authority.
    info = c2pa.C2paSignerInfo(identity.algorithm.encode(), identity.certificates.encode(), identity.key_pem(), None)
    return c2pa.Signer.from_info(info)


def _embed(builder: c2pa.Builder, path: Path, identity: SigningIdentity) -> None:
    with replacing(path) as draft:
        with path.open("rb") as source, draft.open("w+b") as target, _signer(identity) as signer:
            builder.sign(signer, EMBEDDABLE[path.suffix.lower()], source, target)
        _need_valid(read_store(draft, None, identity.root), path)


def _write_sidecar(builder: c2pa.Builder, path: Path, sidecar: Path, identity: SigningIdentity) -> None:
    builder.set_no_embed()
    # The library copies the clip to its target even if nothing is embedded; the copy is discarded.
    with (
        storage_errors(path),
        draft_beside(path) as copy,
        path.open("rb") as source,
        copy.open("w+b") as target,
        _signer(identity) as signer,
    ):
        manifest = builder.sign(signer, ANY_TYPE, source, target)
    with replacing(sidecar) as draft:
        draft.write_bytes(manifest)
        _need_valid(read_store(path, draft, identity.root), path)


def _need_valid(store: Mapping[str, Any] | None, path: Path) -> None:
    made = None if store is None else provenance_of(store, embedded=True)
    if made is None or not made.valid:
        reasons = "; ".join(made.problems) if made else "nothing was written"
        raise ProvenanceError(
            f"the signature made for {path} does not hold: {reasons}",
            hint="the certificate has to follow C2PA's profile (see signing.toml), or leave it out",
        )
