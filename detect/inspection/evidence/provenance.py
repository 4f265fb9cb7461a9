"""Evidence from a file's Content Credentials (C2PA), with what they do not prove."""

from __future__ import annotations

from detect.inspection.evidence.found import SAYS_FAKE
from shared.provenance.identity import local_root
from shared.provenance.read import read_provenance
from shared.results.scores import Evidence
from shared.video.child import Child, ChildError, NoChild

_NAME = "content credentials (C2PA)"
_LIMITS = (
    "Absent credentials are not evidence of forgery: most honest files have none, and any upload may strip them. "
    "A valid signature says who signed and that nothing changed since, not that the content is true."
)


def provenance_evidence(source: Child | NoChild) -> Evidence:
    """Evidence from a file's Content Credentials.

    Raises:
        MediaError: the file cannot be read.
    """
    try:
        found = source.call(read_provenance, local_root() or "")  # the child has no access to keys
    except ChildError as error:
        return Evidence(_NAME, f"could not be read, because {error.cause}", {"present": None}, limits=_LIMITS)
    if found is None:
        return Evidence(_NAME, "absent", {"present": False}, limits=_LIMITS)
    signer = "an unnamed signer" if found.signer is None else found.signer.name
    trusted = found.signer is not None and found.signer.trusted
    details: dict[str, str | int | float | bool | None] = {
        "present": True,
        "in the file": found.embedded,
        "valid": found.valid,
        "signer": signer,
        "signer is known here": trusted,
        "written by": found.generator or None,
        SAYS_FAKE: found.says_fake,
        "digital source types": ", ".join(found.digital_source_types) or "none",
        "actions": ", ".join(action.name for action in found.actions) or "none",
        "made from": ", ".join(ingredient.title for ingredient in found.ingredients) or "nothing named",
        "problems": "; ".join(found.problems) or "none",
    }
    state = f"found, {'valid' if found.valid else 'BROKEN'}, signed by {signer}"
    state += "" if trusted or not found.valid else ", whom nobody here knows"
    state += f": {found.problems[0]}" if found.problems and not found.valid else ""
    place = "" if found.embedded else ", in a file beside it that anybody may have put there"
    says = "; they say that a model had a hand in the file" if found.says_fake else ""
    reference = "absent, as in most honest files, or valid and without a model"
    odd = not found.valid or found.says_fake
    return Evidence(_NAME, f"{state}{place}{says}", details, limits=_LIMITS, reference=reference, odd=odd)
