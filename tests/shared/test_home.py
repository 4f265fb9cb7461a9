"""Where the user's own things are kept."""

from __future__ import annotations

from shared.home import cache_home, config_home


def test_one_variable_moves_both(monkeypatch, tmp_path):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    assert config_home() == tmp_path / "config"
    assert cache_home() == tmp_path / "cache"


def test_without_it_the_system_decides(monkeypatch):
    monkeypatch.delenv("ASSAY_HOME")
    assert config_home().name == "assay"
    assert cache_home().name == "assay"
    assert config_home() != cache_home()
