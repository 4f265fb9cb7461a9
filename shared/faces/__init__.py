"""Faces: found in frames, followed through them, cut out upright, and kept in facesets."""
