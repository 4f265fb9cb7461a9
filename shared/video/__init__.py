"""Reading and writing of video, sound and pictures: the public names.

* ``container``: the one place that opens media, with its limits; ``facts``: what a file states about itself
* ``reader``: frames with exact times; in it ``clock`` (times), ``color`` and ``tone`` (colours), ``geometry`` (shape),
  ``deinterlace``
* ``audio``: sound, copied and compared without decoding
* ``encoding``: settings of an encoder
* ``renditions``: named encodes, and chains of them
* ``excerpt``: a part of a clip, by frames or by time, read as a clip of its own
* ``writer``: frames to a video file, which is complete or absent
* ``images``: single pictures and folders of them

Names are imported when they are used, so that settings of an encode can be read without loading FFmpeg.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
