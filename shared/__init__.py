"""Code common to ``forge`` and ``detect``: values, files, video, faces, datasets, runs, provenance."""

__version__ = "0.1.0"
