"""Strengths of self-blending. No torch here, and nothing else that is slow to import."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import ConfigError


@dataclass(frozen=True)
class SelfBlendConfig:
    """Strengths of the recipe, each as a share of the crop's side or of the value range."""

    rgb_shift: float = 20 / 255
    """Largest shift of each channel, with probability 0.3."""
    hue_shift: float = 0.03
    """Largest turn of the hue circle."""
    saturation: float = 0.3
    """Largest relative change of saturation."""
    brightness: float = 0.1
    """Largest shift of brightness."""
    contrast: float = 0.1
    """Largest relative change of contrast."""
    shift_x: float = 0.03
    """Largest sideways move of the blended copy."""
    shift_y: float = 0.015
    """Largest up or down move."""
    zoom: float = 0.05
    """Largest relative change of its size."""
    elastic: float = 0.028
    """Typical size of the mask's elastic deformation (50 x a field smoothed by 7 px at 256 px in the paper's code)."""
    ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    """Blend strengths to choose from."""

    def __post_init__(self) -> None:
        if not self.ratios or not all(0 < ratio <= 1 for ratio in self.ratios):
            raise ConfigError(f"blend ratios lie in (0, 1], got {self.ratios}")
