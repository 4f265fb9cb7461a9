"""Adversaries that a swapper is trained against: networks, games, and the two that a trainer holds."""

from __future__ import annotations

from forge.critics.adversary import Adversary
from forge.critics.codes import CodeAdversary

__all__ = ["Adversary", "CodeAdversary"]
