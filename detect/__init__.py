"""Tells which clips are fake, and how sure it is: training, evaluation and inspection of detectors."""
