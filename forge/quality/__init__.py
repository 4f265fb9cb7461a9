"""Quality metrics of fakes: identity, pose, expression, seam, flicker, sharpness, Fréchet distance."""
