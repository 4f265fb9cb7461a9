"""Robustness of detectors: metrics on perturbed copies of clips, in which faces are found again."""
