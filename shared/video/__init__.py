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

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
