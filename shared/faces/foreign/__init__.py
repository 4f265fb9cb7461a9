"""Facesets of other programs. Their files are not trusted: nothing in them is executed, and sizes are bounded."""

from __future__ import annotations

from typing import Literal

Program = Literal["faceswap", "deepfacelab"]
"""The programs whose faces are read."""
