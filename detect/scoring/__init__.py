"""Scores of faces, tracks and clips: of one file, and of whole datasets."""
