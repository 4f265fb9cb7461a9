"""Scoring of faces, tracks and clips, for one file or a dataset."""
