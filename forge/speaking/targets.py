"""The identities that a set's conversions and readings have the voice of: no speaker of the set in another split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from forge.speaking.conversion.checkpoint import IdentityFacts, VoiceModel
from shared.errors import UsageError
from shared.speechsets.layout import SpeechRecord
from shared.types import Split

CONVERSION = "conversion"
"""Manipulation of an utterance in another identity's voice."""


READING = "reading"
"""Manipulation of a sentence in an identity's voice."""


def targets_of(
    model: VoiceModel, speaker: str, splits: Mapping[str, Split], *, itself: bool = False
) -> list[IdentityFacts]:
    """The model's identities who are no speaker of another split than ``speaker`` is, nor, without ``itself``, they.

    ``splits`` is by speaker.

    Raises:
        UsageError: there is none.
    """
    own = splits[speaker]
    others = [each for each in model.facts.identities if itself or each.name != speaker]
    found = [each for each in others if splits.get(each.name, own) == own]
    if not found:
        raise UsageError(
            f"the voice model has no identity for {speaker} who is not in another split of the set",
            hint="use a model of identities who are no speakers of the set",
        )
    return found


def need_targets(model: VoiceModel, splits: Mapping[str, Split], *, itself: bool = False) -> None:
    """Finds targets for every speaker of a set, as :func:`targets_of` does, before anything is written.

    Raises:
        UsageError: there is none for one of them.
    """
    for speaker in splits:
        targets_of(model, speaker, splits, itself=itself)


def need_targets_disjoint(records: Sequence[SpeechRecord]) -> None:
    """Refuses a set in which a conversion or reading has the voice of a speaker of another split.

    Raises:
        UsageError: one has.
    """
    splits = {record.speaker: record.split for record in records}
    for record in records:
        if record.manipulation in (CONVERSION, READING) and record.voice is not None:
            identity = record.voice.partition(":")[2]
            if splits.get(identity, record.split) != record.split:
                raise UsageError(
                    f"{record.id} has the voice of {identity}, a speaker of another split", hint="build the set anew"
                )


def target_facts(model: VoiceModel, identity: IdentityFacts) -> dict[str, str | int | None]:
    """What the signed record of a conversion or reading says of the identity and the model."""
    return {
        "identity": identity.name,
        "identity_rights": identity.rights,
        "population_rights": ", ".join(model.facts.population_rights) or None,
        "weights_sha256": model.weights_sha256,
    }
