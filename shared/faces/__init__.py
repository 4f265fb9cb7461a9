"""Faces: detection, landmarks, tracking, alignment and facesets."""
