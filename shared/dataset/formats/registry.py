"""The registries of layouts, in a leaf: what reads other people's sets, and what writes Assay's in their form."""

from __future__ import annotations

from shared.dataset.formats.found import Scan
from shared.registry import Registry

IMPORTERS: Registry[Scan] = Registry("layout to import")
EXPORTERS: Registry[None] = Registry("layout to export")
