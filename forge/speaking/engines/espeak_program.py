"""Program: reads standard input aloud with libespeak-ng. Arguments: voice, WAV file, JSON file of phones.

It stands alone, so that it can be run by its path: standard library and espeakng-loader only. It prints the version.
(Interface: speak_lib.h of eSpeak NG 1.52.)
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import sys
import wave
from pathlib import Path
from typing import Any

_RETRIEVAL, _PHONEME_EVENTS, _IPA, _NO_EXIT = 1, 1, 2, 0x8000
_UTF8, _PHONEME, _END_OF_LIST = 1, 7, 0
_MOST_SAMPLES = 22_050 * 1800


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


def _library() -> tuple[Any, bytes | None]:
    try:
        import espeakng_loader  # pyright: ignore[reportMissingImports]
    except ImportError:
        return ctypes.cdll.LoadLibrary(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"), None
    return ctypes.cdll.LoadLibrary(espeakng_loader.get_library_path()), espeakng_loader.get_data_path().encode()


def main(voice: str, wav: str, times: str) -> int:
    """Reads standard input; writes both files; 0, or 1 with a line on standard error."""
    library, data = _library()
    rate = library.espeak_Initialize(_RETRIEVAL, 0, data, _PHONEME_EVENTS | _IPA | _NO_EXIT)
    if rate <= 0:
        sys.stderr.write("the library's data cannot be read\n")
        return 1
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        sys.stderr.write(f"no voice {voice}\n")
        return 1
    sound, phones = bytearray(), []

    def heard(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        place = 0
        while events[place].type != _END_OF_LIST:
            event = events[place]
            if event.type == _PHONEME:
                phones.append((bytes(event.id.string).split(b"\0")[0].decode(errors="replace"), event.sample))
            place += 1
        return 0 if len(sound) < 2 * _MOST_SAMPLES else 1

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
    callback = kind(heard)
    library.espeak_SetSynthCallback(callback)
    text = sys.stdin.buffer.read(1 << 20) + b"\0"
    library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    with wave.open(wav, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(sound))
    Path(times).write_text(json.dumps(phones))
    library.espeak_Info.restype = ctypes.c_char_p
    sys.stdout.write(library.espeak_Info(None).decode(errors="replace").split(" ")[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
