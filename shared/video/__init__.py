"""Video in and out: the one place to import from.

The names below are loaded when they are first used, so that settings of an encoding can be had without FFmpeg.
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
