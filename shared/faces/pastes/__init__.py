"""How a face is pasted into a frame: the square it is made in, its mask, and presets of what public tools do.

No part of it knows a model: swaps (``forge``) and self-blended training images (``detect``) use the same code.
"""
