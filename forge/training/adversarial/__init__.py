"""Adversarial training of swappers: discriminator networks, objectives, image and latent discriminators."""

from __future__ import annotations

from forge.training.adversarial.adversary import Adversary
from forge.training.adversarial.latent_discriminator import LatentDiscriminator

__all__ = ["Adversary", "LatentDiscriminator"]
