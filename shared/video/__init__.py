"""Video in and out: the one place to import from.

* ``container``: the one place that opens media, with its limits; ``facts``: what a file says of itself
* ``reader``: frames with exact times; in it ``clock`` (times), ``color`` and ``tone`` (colours), ``geometry`` (shape),
  ``deinterlace``
* ``audio``: sound, copied and compared by its bytes
* ``encoding``: how to compress, as a value
* ``renditions``: chains of encodes under a name
* ``writer``: frames to a file, whole or absent
* ``images``: pictures in folders

Names are imported when they are used, so that settings of an encode can be read without loading FFmpeg.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from shared.video.audio import audio_digest, container_for
    from shared.video.container import VideoLimits
    from shared.video.encoding import Encoding
    from shared.video.facts import reading_notes
    from shared.video.reader import VideoReader, frame_times, probe, read_mask_frames
    from shared.video.writer import VideoWriter, need_encodable, reencode
else:  # out of sight of type checkers, which would take any name to be there
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "audio": ["audio_digest", "container_for"],
            "container": ["VideoLimits"],
            "encoding": ["Encoding"],
            "facts": ["reading_notes"],
            "reader": ["VideoReader", "frame_times", "probe", "read_mask_frames"],
            "writer": ["VideoWriter", "need_encodable", "reencode"],
        },
    )

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
