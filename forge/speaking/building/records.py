"""A recording of a group through the chain of the group, written, signed and described."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import shared
from forge.speaking.building.files import write_signed
from forge.speaking.building.groups import REAL, Group
from forge.speaking.building.members import Member, members_of
from forge.speaking.building.models import SetModels
from forge.speaking.building.spec import SpeechSetSpec
from forge.speaking.targets import READING
from shared.audio.sound import Sound
from shared.speechsets.chain import Chain, drawn_chain, length_for, sent_through, speech_bounds
from shared.speechsets.layout import MEDIA, RATE, SpeechRecord
from shared.storage import replacing, sha256_file


@dataclass(frozen=True, eq=False)
class PlannedGroup:
    """A group whose recordings are made.

    Attributes:
        group: it.
        chain: that every recording of it goes through.
        members: its recordings, in order.
        count: samples that each of them gets.
    """

    group: Group
    chain: Chain
    members: tuple[Member, ...]
    count: int

    def chained(self, member: Member) -> tuple[Sound, int]:
        """A recording after the chain, and by how many samples it was moved."""
        noise = int(self.group.rng(f"noise {member.name}").integers(1 << 30))
        return sent_through(member.sound, self.chain, self.count, noise)


def planned(group: Group, spec: SpeechSetSpec, models: SetModels) -> PlannedGroup:
    """Makes the recordings of a group and draws its chain."""
    chain = drawn_chain(group.rng("chain"), codecs=spec.codecs, most_seconds=spec.most_seconds, light=spec.light)
    members = tuple(members_of(group, spec, models))
    lengths = (_needed(each, chain) for each in members)
    return PlannedGroup(group, chain, members, max(length_for([each.sound for each in members], chain), *lengths))


def _needed(member: Member, chain: Chain) -> int:
    """Samples after which the fake part of a partial fake has ended, with a tenth of a second behind it."""
    if "-in-part" not in member.name:
        return 0
    first, _ = speech_bounds(member.sound)
    return member.spans[-1][1] - first + round((chain.lead_seconds + 0.1) * RATE)


def written(whole: PlannedGroup, member: Member, spec: SpeechSetSpec, out: Path) -> SpeechRecord:
    """Writes a recording of a group into the set at ``out``, and describes it.

    Raises:
        StorageError, ProvenanceError: writing or signing failed.
    """
    group = whole.group
    record_id = group.record_id(spec, member.name)
    sound, offset = whole.chained(member)
    spans = _placed(member, offset, whole.count)
    fake = member.manipulation is not None
    # What a reader said has nothing of the recording: the rights are those of the reader's voice.
    rights = str(member.target.get("rights", group.voiceset.info.rights))
    facts: dict[str, str | int | None] = {
        "id": record_id,
        "kind": "speech" if fake else "real",
        "label": "fake" if fake else "real",
        "statement": "synthetic speech" if fake else "recorded speech",
        "manipulation": member.manipulation,
        "speaker": group.voiceset.info.identity,
        "voice": member.voice,
        "text": (member.text or "")[:500] or None,
        "rights": rights,
        "segments": ",".join(f"{first}-{stop}" for first, stop in spans),
        "seed": spec.seed,
        **member.target,
    }
    path = f"{MEDIA}/{member.name}/{group.name}.flac"
    place = out / path
    with replacing(place) as draft:
        content = write_signed(draft, sound, facts, fake=fake, whole=member.name in (*spec.engines, READING))
        digest = sha256_file(draft)
    return SpeechRecord(
        id=record_id,
        path=path,
        sha256=digest,
        content_sha256=content,
        label="fake" if fake else "real",
        kind="speech" if fake else "real",
        speaker=group.voiceset.info.identity,
        split=group.splits[group.voiceset.info.identity],
        manipulation=member.manipulation,
        voice=member.voice,
        rights=rights,
        seconds=whole.count / RATE,
        spans=spans,
        text=member.text,
        parent=group.record_id(spec, REAL) if fake else None,
        source_sha256=group.voiceset.utterances[group.number].sha256,
        chain=whole.chain.facts(),
        seed=spec.seed,
        tool_version=shared.__version__,
    )


def _placed(member: Member, offset: int, count: int) -> tuple[tuple[int, int], ...]:
    """The spans after the chain: moved by its offset; a fake as a whole is fake with all of its silence."""
    if member.spans and member.spans[0][0] == 0 and member.spans[-1][1] >= len(member.sound):
        return ((0, count),)
    moved = ((max(0, first + offset), min(count, stop + offset)) for first, stop in member.spans)
    return tuple((first, stop) for first, stop in moved if first < stop)
