"""Labelled datasets: the one place to import from.

The names below are loaded when they are first used, so that the manifest, the layout and the settings of an audit can
be imported without what reads media and signatures::

    dataset = DatasetFolder.open("set")
    test = dataset.records(split="test")
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
