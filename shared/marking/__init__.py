"""Imperceptible marks in pictures and sound: written, and read back after re-encoding, resizing and cropping."""
