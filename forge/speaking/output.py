"""Files of synthetic speech: marked, tagged and signed, always.

There is no way to write synthetic speech without the mark, the tags and the signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forge.speaking.contract import Phone, Speech
from shared.audio.reading import read_sound
from shared.audio.sound import Sound, is_silent
from shared.audio.writing import BIT_RATE, need_sound_suffix, write_sound
from shared.errors import MediaError, UsageError
from shared.marking.files import sound_binding
from shared.marking.payload import Payload
from shared.marking.sound import mark_sound
from shared.provenance.identity import SigningIdentity
from shared.provenance.read import EMBEDDABLE
from shared.provenance.sign import need_signable, sign_clip
from shared.provenance.types import COMPOSITE_WITH_MODEL, MADE_BY_MODEL, Action
from shared.storage import replacing, sha256_file, write_text
from shared.voices.layout import check_rights

STATEMENT = "synthetic speech"
"""The words in the record and in the tags of every file."""

_MOST_TEXT = 500
_LOWEST_RATE = 8_000
_MOST_SAMPLES = 8_000_000


@dataclass(frozen=True)
class SpeechFile:
    """A file of synthetic speech that was written.

    Attributes:
        path: of the file.
        sha256: of the file as it is, signed.
        content_sha256: of the file before it was signed.
        mark: the payload of its mark, 8 hex digits.
        facts: what the signed record says of it.
    """

    path: Path
    sha256: str
    content_sha256: str
    mark: str
    facts: Mapping[str, str | int | None]


def need_speech_suffix(path: Path) -> None:
    """Refuses a file name whose format cannot carry the signature in the file.

    Raises:
        UsageError: it is none of WAV, FLAC, MP3 and M4A.
    """
    need_sound_suffix(path)
    if path.suffix.lower() not in EMBEDDABLE:
        raise UsageError(f"the signature cannot be in a {path.suffix} file", hint="use .wav, .flac, .mp3 or .m4a")


def open_recording(recording: Path, rights: str, out: Path) -> Sound:
    """The samples of a recording that synthetic speech is made from, after all that would refuse to write it.

    Raises:
        UsageError: no rights, another suffix, or ``out`` is the recording itself.
        MediaError: it cannot be read, is silent, too long, or of too low a rate.
        ProvenanceError: there is no identity that can sign.
    """
    check_rights(rights)
    need_speech_suffix(out)
    if out.resolve() == recording.resolve():
        raise UsageError(f"{out} is the recording itself", hint="name another file: the original is kept")
    need_signable(SigningIdentity.load_or_create(), None)
    sound = read_sound(recording, rate=None, most_seconds=600)
    if sound.rate < _LOWEST_RATE:
        raise MediaError(
            f"{recording} has {sound.rate} samples a second", hint=f"the mark needs at least {_LOWEST_RATE:,}"
        )
    if len(sound) > _MOST_SAMPLES:
        raise MediaError(
            f"{recording} has {len(sound):,} samples", hint=f"cut it to {_MOST_SAMPLES:,}, or lower its rate"
        )
    if is_silent(sound.samples):
        raise MediaError(f"{recording} is silent", hint="name a recording of speech")
    return sound


def engine_facts(speech: Speech, text: str, seed: int) -> dict[str, str | int | None]:
    """The facts of a text that an engine read."""
    info = speech.info
    return {
        "engine": info.name,
        "engine_kind": info.kind,
        "engine_version": info.version,
        "voice": info.voice,
        "weights_sha256": info.weights,
        **text_facts(text, seed),
    }


def text_facts(text: str, seed: int) -> dict[str, str | int | None]:
    """The facts of a text that was read, whoever read it."""
    return {
        "text": text[:_MOST_TEXT],
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "seed": seed,
    }


def write_speech(
    out: Path,
    sound: Sound,
    *,
    manipulation: str,
    facts: Mapping[str, str | int | None],
    ingredient: Path | None = None,
    identity: SigningIdentity | None = None,
    codec: str | None = None,
    bit_rate: int = BIT_RATE,
) -> SpeechFile:
    """Writes synthetic speech: with the sound mark, "synthetic speech" in its tags, and signed.

    Args:
        out: .wav, .flac, .mp3 or .m4a; replaced when it is there.
        sound: at least 8,000 samples a second; slower sound cannot carry the mark.
        manipulation: how it was made: an engine, a vocoder, or what was replaced by which.
        facts: further facts for the signed record.
        ingredient: the recording that it was made from.
        identity: the signer; by default the local one.
        codec: FFmpeg's name of another codec than the suffix's own.
        bit_rate: of lossy codecs.

    Raises:
        UsageError: another suffix, or too low a rate.
        MediaError: it cannot be encoded.
        ProvenanceError, StorageError: signing or writing failed.
    """
    need_speech_suffix(out)
    if sound.rate < _LOWEST_RATE:
        raise UsageError(f"speech with {sound.rate} samples a second carries no mark", hint="at least 8,000 are needed")
    record: dict[str, str | int | None] = {
        "kind": "speech", "label": "fake", "statement": STATEMENT, "manipulation": manipulation, **facts
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    payload = Payload.of("speech", digest)
    marked = sound.with_samples(mark_sound(sound.samples, sound.rate, payload))
    tags = {"title": STATEMENT, "artist": STATEMENT, "comment": f"{STATEMENT}, made by assay: {manipulation}"}
    with replacing(out) as draft:
        write_sound(draft, marked, codec=codec, bit_rate=bit_rate, tags=tags)
        content = sign_clip(
            draft,
            identity or SigningIdentity.load_or_create(),
            title=out.name,
            actions=[
                Action("c2pa.edited", f"{STATEMENT}: {manipulation}"),
                Action("c2pa.watermarked", "an imperceptible mark was written"),
            ],
            ingredient=ingredient,
            digital_source_type=MADE_BY_MODEL if ingredient is None else COMPOSITE_WITH_MODEL,
            record=record,
            bindings=[sound_binding(payload)],
        )
        whole = sha256_file(draft)
    return SpeechFile(out, whole, content, payload.text, record)


def write_phones(path: Path, phones: Sequence[Phone], rate: int) -> None:
    """Writes the times of phones as CSV: phone, first sample, sample behind the last, and both in seconds.

    Raises:
        StorageError: writing failed.
    """
    rows = ["phone,first,stop,start_seconds,stop_seconds"]
    rows += [
        f'"{_quoted(one.symbol)}",{one.first},{one.stop},{one.first / rate:.6f},{one.stop / rate:.6f}' for one in phones
    ]
    write_text(path, "\n".join(rows) + "\n")


def _quoted(symbol: str) -> str:
    return symbol.replace('"', '""')
