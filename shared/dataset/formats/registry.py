"""The registries of layouts for import and export."""

from __future__ import annotations

from shared.dataset.formats.found import Scan
from shared.registry import Registry

IMPORTERS: Registry[Scan] = Registry("layout to import")
EXPORTERS: Registry[None] = Registry("layout to export")
