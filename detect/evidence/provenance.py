"""What a file's Content Credentials (C2PA) say, in words that do not claim more than they carry."""

from __future__ import annotations

from pathlib import Path

from shared.provenance import read_provenance
from shared.scores import Evidence

_LIMITS = (
    "Absent credentials are not evidence of forgery: most honest files have none, and any upload may strip them. "
    "A valid signature says who signed and that nothing changed since, not that the content is true."
)


def provenance_evidence(path: Path) -> Evidence:
    """The state of ``path``'s Content Credentials."""
    found = read_provenance(path)
    if found is None:
        return Evidence("content credentials (C2PA)", "none in the file", {"present": False}, limits=_LIMITS)
    state = "valid signature" if found.valid else "INVALID signature"
    details: dict[str, str | int | float | bool | None] = {
        "present": True,
        "valid": found.valid,
        "signer": found.signer,
        "digital source type": found.digital_source_type,
        "actions": ", ".join(found.actions) or "none",
        "ingredients": ", ".join(found.ingredients) or "none",
        "problems": "; ".join(found.problems) or "none",
    }
    return Evidence(
        "content credentials (C2PA)", f"{state} by {found.signer or 'an unnamed signer'}", details, limits=_LIMITS
    )
