"""Adversaries that a swapper is trained against: networks, games, and the two that a trainer holds."""

from __future__ import annotations

from forge.training.adversarial.adversary import Adversary
from forge.training.adversarial.latent_discriminator import LatentDiscriminator

__all__ = ["Adversary", "LatentDiscriminator"]
