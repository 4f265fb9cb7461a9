"""Files of a set of speech: marked and signed recordings, and the card."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from shared.audio.sound import Sound
from shared.audio.writing import write_sound
from shared.marking.files import sound_binding
from shared.marking.payload import Payload
from shared.marking.sound import mark_sound
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import CAPTURE, COMPOSITE_WITH_MODEL, MADE_BY_MODEL, PROCEDURAL, Action
from shared.speechsets.layout import SpeechRecord, SpeechSetInfo


def write_signed(draft: Path, sound: Sound, facts: dict[str, str | int | None], *, fake: bool, whole: bool) -> str:
    """Writes the sound with the mark of a set, which both classes carry, and signs it.

    Args:
        draft: the file.
        sound: what is written.
        facts: the signed record, with ``id``, ``statement`` and ``rights``.
        fake: whether any of it is synthetic.
        whole: whether nothing of a recording is in it.

    Returns:
        SHA-256 of the file before it was signed.
    """
    payload = Payload.of("set", hashlib.sha256(str(facts["id"]).encode()).hexdigest())
    marked = sound.with_samples(mark_sound(sound.samples, sound.rate, payload))
    write_sound(draft, marked, tags={"title": str(facts["statement"]), "comment": str(facts["id"])})
    recorded = PROCEDURAL if facts["rights"] == "synthetic" else CAPTURE
    source = (MADE_BY_MODEL if whole else COMPOSITE_WITH_MODEL) if fake else recorded
    return sign_clip(
        draft,
        SigningIdentity.load_or_create(),
        title=str(facts["id"]),
        actions=[Action("c2pa.transcoded", "one chain for the recording and its fakes"),
                 Action("c2pa.watermarked", "an imperceptible mark was written")],
        ingredient=None,
        digital_source_type=source,
        record=facts,
        bindings=[sound_binding(payload)],
    )  # fmt: skip


def card_of(info: SpeechSetInfo, records: Sequence[SpeechRecord]) -> str:
    """The card of a set: what it holds, how it was made, and how it is read."""
    counts: dict[str, int] = {}
    for record in records:
        name = record.manipulation or "real"
        counts[name] = counts.get(name, 0) + 1
    splits = {split: len({one.speaker for one in records if one.split == split}) for split in ("train", "val", "test")}
    rights = sorted({record.rights for record in records})
    lines = [
        f"# {info.name}",
        "",
        "A labelled set of speech: recordings of real people, and synthetic speech made from them or beside them.",
        "Every recording of a group left by the same chain. Both classes carry the mark of a set, and every file is",
        "signed.",
        "",
        f"Licence: {info.license}. Rights of the voices: {', '.join(rights)}.",
        f"Speakers: {splits['train']} train, {splits['val']} val, {splits['test']} test; no speaker is in two.",
        "",
        "| made by | recordings |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in sorted(counts.items())),
        "",
        "`speech.csv` lists path, label, speaker, engine, codec, split, spans (seconds) and parent; `manifest.jsonl`",
        "has everything. The speaker of a sentence that was read is the recorded person of its group; its own voice is",
        "in `voice`.",
        "",
    ]
    return "\n".join(lines)
