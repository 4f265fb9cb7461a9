"""The vocabulary both halves of Assay speak: values, files, video, faces, runs, provenance."""

__version__ = "0.1.0"
