"""Procedural people for the demo and the tests: seeded, deterministic, with exact landmarks and mattes.

They use no real person's likeness: shape, colour and motion come from formulas and random numbers.
"""

from __future__ import annotations

from shared.actors.actor import Actor, ActorFrame, cast, perform, portrait
from shared.actors.body import Pose
from shared.actors.expression import Expression
from shared.actors.filming import film
from shared.actors.motion import Liveliness

__all__ = ["Actor", "ActorFrame", "Expression", "Liveliness", "Pose", "cast", "film", "perform", "portrait"]
