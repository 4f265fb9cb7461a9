"""Folders of the user's keys, settings and weights."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def config_home() -> Path:
    """Folder of the user's signing identity and settings; ``ASSAY_HOME`` moves it."""
    override = os.environ.get("ASSAY_HOME")
    return Path(override) / "config" if override else Path(platformdirs.user_config_dir("assay", appauthor=False))


def cache_home() -> Path:
    """Folder of weights and other files that can be restored; ``ASSAY_HOME`` moves it."""
    override = os.environ.get("ASSAY_HOME")
    return Path(override) / "cache" if override else Path(platformdirs.user_cache_dir("assay", appauthor=False))
