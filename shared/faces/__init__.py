"""Faces in frames: found, followed, aligned, told apart, and kept as facesets."""
