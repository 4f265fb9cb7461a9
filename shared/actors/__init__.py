"""Procedural people: the cast of the demo and the tests. Seeded, deterministic, with exact landmarks and mattes.

No real person's likeness goes into them: form, colour and movement come from formulas and random numbers.
"""

from __future__ import annotations

from shared.actors.actor import Actor, ActorFrame, cast, perform, portrait
from shared.actors.body import Pose
from shared.actors.expression import Expression
from shared.actors.filming import film
from shared.actors.motion import Liveliness

__all__ = ["Actor", "ActorFrame", "Expression", "Liveliness", "Pose", "cast", "film", "perform", "portrait"]
