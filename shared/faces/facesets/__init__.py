"""Facesets: the aligned faces of one person, extracted, written and read."""
