"""Re-enactment: another performance drives the mouth, brows, eyes and tilt of the same person."""
