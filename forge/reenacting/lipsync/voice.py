"""Whose voice drives a mouth, and on what basis it may be used: as it is said, or as the sound itself states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from forge.swapping.request import UNSTATED
from shared.console import console
from shared.dataset.names import safe_name
from shared.errors import MediaError, ProvenanceError, UsageError
from shared.provenance.read import read_provenance
from shared.types import ClipRecord
from shared.voices.layout import check_rights


@dataclass(frozen=True)
class Voice:
    """A speaker and the basis of use; None for what is not known."""

    identity: str | None
    rights: str | None


def voice_of(record: ClipRecord) -> Voice:
    """Whose voice a clip of a dataset has: of a fake with the driver's sound the driver's, else the person's."""
    if record.factors.get("sound_from") == "driver":
        return Voice(record.source_identity, record.factors.get("drive_rights"))
    return Voice(record.target_identity, record.rights)


def stated_voice(sound: Path, known: Voice) -> Voice:
    """``known``, completed by what synthetic speech of this program says of itself in its signature.

    What nothing says stays None for the speaker, and is called unstated, with a warning, for the rights.

    Raises:
        ConfigError: the rights are empty or too long.
        UsageError: it is a fake of this program, whose signature does not name its voice, and nobody is named.
    """
    said = _signed(sound, named=known.identity is not None)
    identity, rights = known.identity or said.identity, known.rights or said.rights
    if rights is None:
        console.warn(
            f"the rights to use the voice in {sound} are recorded as {UNSTATED!r}; say them with --drive-rights"
        )
        rights = UNSTATED
    check_rights(rights)
    return Voice(identity, rights)


def _signed(sound: Path, *, named: bool) -> Voice:
    """The voice that a valid signature names; of an engine its name with the voice's."""
    try:
        provenance = read_provenance(sound)
    except (MediaError, ProvenanceError):
        return Voice(None, None)
    if provenance is None or not provenance.valid or provenance.record is None:
        return Voice(None, None)
    record = {name: value for name, value in provenance.record.items() if isinstance(value, str)}
    if "identity" in record:
        return Voice(safe_name(record["identity"], longest=100), record.get("identity_rights"))
    if "engine" in record:
        return Voice(safe_name(f"{record['engine']}-{record.get('voice', '')}", longest=100), "synthetic")
    if provenance.says_fake and not named:
        raise UsageError(
            f"{sound} is a fake, and its signature does not say whose voice it has",
            hint="name the speaker with --driver-identity",
        )
    return Voice(None, None)
