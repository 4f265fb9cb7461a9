"""Calibration of detector scores: probabilities, likelihood ratios, and the validated domain."""
