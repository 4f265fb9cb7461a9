"""Video in and out: the one place to import from.

* ``video_facts``: opening, limits, orientation, colour; the facts of a file
* ``video_reader``: frames with exact times
* ``video_audio``: sound, copied and compared by its bytes
* ``video_encoding``: how to compress, as a value
* ``video_writer``: frames to a file, whole or absent
"""

from __future__ import annotations

from shared.video.audio import audio_digest, container_for
from shared.video.container import VideoLimits
from shared.video.encoding import Encoding
from shared.video.reader import VideoReader, frame_times, probe, read_mask_frames
from shared.video.writer import VideoWriter, reencode

__all__ = [
    "Encoding",
    "VideoLimits",
    "VideoReader",
    "VideoWriter",
    "audio_digest",
    "container_for",
    "frame_times",
    "probe",
    "read_mask_frames",
    "reencode",
]
