"""Re-enactment: another performance, or a voice, drives the mouth, brows, eyes and tilt of the same person."""
