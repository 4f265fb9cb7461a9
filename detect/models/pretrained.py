"""ImageNet weights to start a backbone from; both halves use them, so they are read in :mod:`shared.pretrained`."""

from __future__ import annotations

from shared.pretrained import lite0_path, lite0_to_timm, load_pretrained

__all__ = ["lite0_path", "lite0_to_timm", "load_pretrained"]
