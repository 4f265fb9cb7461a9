"""The swappers there are, by name. Filled by the families listed in ``forge/models/__init__.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.registry import Registry

if TYPE_CHECKING:
    from forge.models.contract import Swapper

swappers: Registry[Swapper] = Registry("swapper")
