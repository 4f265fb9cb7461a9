"""Video in and out: the one place to import from.

* ``container``: opening, limits, orientation, colour; the facts of a file
* ``reader``: frames with exact times
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
    from shared.video.reader import VideoReader, frame_times, probe, read_mask_frames
    from shared.video.writer import VideoWriter, reencode
else:  # out of sight of type checkers, which would take any name to be there
    __getattr__, __dir__, _ = lazy_loader.attach(
        __name__,
        submod_attrs={
            "audio": ["audio_digest", "container_for"],
            "container": ["VideoLimits"],
            "encoding": ["Encoding"],
            "reader": ["VideoReader", "frame_times", "probe", "read_mask_frames"],
            "writer": ["VideoWriter", "reencode"],
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
    "probe",
    "read_mask_frames",
    "reencode",
]
