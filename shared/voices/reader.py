"""A voiceset as a value: its facts, its utterances and their samples."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from shared.audio.reading import read_sound
from shared.audio.sound import Sound
from shared.config import read_toml
from shared.errors import ManifestError, VoicesetError
from shared.storage import decode_json, inside, read_bytes, sha256_file
from shared.voices.layout import MOST_TEXT, SETTINGS, TABLE, Utterance, VoicesetInfo

_MOST_BYTES = 256 << 20
_HINT = "make it again with assay voices extract"


@dataclass(frozen=True)
class Voiceset:
    """One voiceset that was read; the samples are read when they are asked for.

    Attributes:
        path: of the folder.
        info: its facts.
        utterances: in order.
    """

    path: Path
    info: VoicesetInfo
    utterances: tuple[Utterance, ...]

    def sound(self, number: int) -> Sound:
        """The samples of an utterance.

        Raises:
            VoicesetError: its path leads out of the folder, or the file is missing or was changed.
            MediaError: it cannot be read.
        """
        try:
            one = self.utterances[number]
            place = inside(self.path, one.path)
        except ManifestError as error:
            raise VoicesetError(f"{self.path}: {error}", hint=_HINT) from error
        if not place.is_file():
            raise VoicesetError(f"{place} is missing", hint=_HINT)
        if sha256_file(place) != one.sha256:
            raise VoicesetError(f"{place} was changed after the voiceset was made", hint=_HINT)
        return read_sound(place, rate=self.info.rate, most_seconds=120)


def read_voiceset(path: Path) -> Voiceset:
    """The voiceset in a folder.

    Raises:
        VoicesetError: it is no voiceset, damaged, or its lines do not match its facts.
    """
    if not (path / SETTINGS).is_file():
        raise VoicesetError(f"{path} holds no voiceset", hint="assay voices extract makes one")
    info = _info(path / SETTINGS)
    table = read_bytes(path / TABLE, _MOST_BYTES, error=VoicesetError, hint=_HINT)
    lines = table.splitlines()
    if len(lines) != info.utterances:
        raise VoicesetError(f"{path} states {info.utterances} utterances and lists {len(lines)}", hint=_HINT)
    utterances = tuple(
        decode_json(line, Utterance, f"{path / TABLE}, line {number}", error=VoicesetError, hint=_HINT)
        for number, line in enumerate(lines, 1)
    )
    for number, one in enumerate(utterances, 1):
        if not 0 <= one.source < len(info.sources) or len(one.text or "") > MOST_TEXT or not np.isfinite(one.seconds):
            raise VoicesetError(f"{path / TABLE}, line {number} contradicts {SETTINGS}", hint=_HINT)
    if hashlib.sha256(table).hexdigest() != info.table_sha256:
        raise VoicesetError(f"{path / TABLE} was changed after the voiceset was made", hint=_HINT)
    return Voiceset(path, info, utterances)


def _info(path: Path) -> VoicesetInfo:
    try:
        return msgspec.convert(read_toml(path, error=VoicesetError, hint=_HINT), VoicesetInfo)
    except (msgspec.ValidationError, ValueError) as error:
        raise VoicesetError(f"{path}: {error}", hint=_HINT) from error


def voicesets_in(folder: Path) -> list[Path]:
    """The voicesets directly in a folder, or the folder itself, by name.

    Raises:
        VoicesetError: there is none.
    """
    if (folder / SETTINGS).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"*/{SETTINGS}")) if folder.is_dir() else []
    if not found:
        raise VoicesetError(f"{folder} holds no voiceset", hint="assay voices extract makes one")
    return found
