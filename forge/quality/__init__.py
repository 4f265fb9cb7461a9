"""Quality of a fake beside its target: identity, pose, expression, seam, flicker, sharpness, Fréchet distance."""
