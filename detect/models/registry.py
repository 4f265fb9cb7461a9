"""The registry of detectors by name, filled by the families listed in ``detect/models/__init__.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.registry import Registry

if TYPE_CHECKING:
    from detect.models.contract import Detector

detectors: Registry[Detector] = Registry("detector")
