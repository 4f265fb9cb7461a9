"""How much material the steps after a build need: one place for the steps that refuse and for the plan that warns."""

CALIBRATION_CLIPS = 10
"""Clips of each class, with a score."""

CALIBRATION_PEOPLE = 4
"""People of each class who count on their own."""
