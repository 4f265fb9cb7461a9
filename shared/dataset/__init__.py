"""Labelled datasets: the public names of the package.

The names below are loaded on first use, so that the manifest, the layout and the audit settings can be imported
without the modules that read media and signatures::

    dataset = DatasetFolder.open("set")
    test = dataset.records(split="test")
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
