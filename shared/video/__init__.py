"""Video in and out: the one place to import from.

* ``container``: the one place that opens media, with its limits; ``facts``: what a file says of itself
* ``reader``: frames with exact times; in it ``clock`` (times), ``color`` and ``tone`` (colours), ``geometry`` (shape),
  ``deinterlace``
* ``audio``: sound, copied and compared by its bytes
* ``encoding``: how to compress, as a value
* ``writer``: frames to a file, whole or absent
"""

from __future__ import annotations

from shared.video.audio import audio_digest, container_for
from shared.video.container import VideoLimits
from shared.video.encoding import Encoding
from shared.video.facts import reading_notes
from shared.video.reader import VideoReader, frame_times, probe, read_mask_frames
from shared.video.writer import VideoWriter, need_encodable, reencode

__all__ = [
    "Encoding",
    "VideoLimits",
    "VideoReader",
    "VideoWriter",
    "audio_digest",
    "container_for",
    "frame_times",
    "need_encodable",
    "probe",
    "read_mask_frames",
    "reading_notes",
    "reencode",
]
