"""Trained networks of re-enactment: contract and registry, training on facesets, weights in a file."""
