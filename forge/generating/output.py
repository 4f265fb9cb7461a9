"""Generated stills in files: marked unless that is left out, and signed always."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from forge.generating.config import StillConfig
from forge.generating.record import StillFacts, still_action, still_payload, still_record
from shared.errors import storage_errors
from shared.marking.embed import MarkWriter
from shared.marking.files import picture_binding
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import MADE_BY_MODEL, mark_text, record_facts
from shared.storage import replacing, sha256_file
from shared.types import ClipRecord
from shared.video.images import encode_jpeg, encode_png


def write_still(
    path: Path, picture: np.ndarray, facts: StillFacts, config: StillConfig, identity: SigningIdentity, *, mark: bool
) -> ClipRecord:
    """Writes a generated picture, (H, W, 3) uint8 RGB, to ``path``; returns its record.

    The file is marked if ``mark``, and signed with the source type ``trainedAlgorithmicMedia``; it appears whole and
    signed, or not at all. The certificate and the truncation are among the signed facts.

    Raises:
        ProvenanceError, StorageError: signing or writing failed.
    """
    record = still_record(facts, config)
    payload = still_payload(record) if mark else None
    bindings = [picture_binding(payload)] if payload is not None else []
    shown = picture if payload is None else MarkWriter(payload).mark(picture)
    data = encode_png(shown) if config.format == "png" else encode_jpeg(shown, config.quality)
    with replacing(path) as draft, storage_errors(path):
        draft.write_bytes(data)
        content = sign_clip(
            draft,
            identity,
            title=path.name,
            actions=[still_action(record)],
            ingredient=None,
            digital_source_type=MADE_BY_MODEL,
            record=record_facts(record) | record.factors,
            bindings=bindings,
        )
        whole = sha256_file(draft)
    factors = record.factors | {"mark": mark_text(bindings)}
    return dataclasses.replace(record, path=path.name, sha256=whole, content_sha256=content, factors=factors)


def enlarged(face: np.ndarray, px: int) -> np.ndarray:
    """``face`` (S, S, 3) uint8 at the side ``px``: bicubic if larger, by area if smaller; itself for 0."""
    if px in (0, len(face)):
        return face
    return cv2.resize(face, (px, px), interpolation=cv2.INTER_CUBIC if px > len(face) else cv2.INTER_AREA)
