"""Every block of ``docs/python.md`` runs as it stands there, in order, on procedural actors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import ROOT, Replacements, blocks, film_people, run_code
from tests.same_outputs import one_thread

PAGE = ROOT / "docs" / "python.md"


@pytest.fixture
def shorter() -> Replacements:
    """Trainings of a few steps on small pictures."""
    small = 'model="test_efficientnet", pretrained=False, input_px=64, frames_per_clip=3, faces={"min_face_px": 16}'
    return Replacements(
        ('rights="consent"))', 'rights="consent", px=64, min_face_px=16, embed_every=0))'),
        ('model="lightweight", minutes=25', 'model="lightweight", steps=4, width=0.05, batch=2'),
        ("steps = [5000]", "steps = [2]"),
        ('settings = { model = "lightweight" }', 'settings = { model = "lightweight", width = 0.05, batch = 2 }'),
        ('name = "one"\n', 'name = "one"\nmin_face_px = 16\n\n[faces]\npx = 64\nmin_face_px = 16\nembed_every = 0\n'),
        ("minutes=10", f"steps=2, batch=2, {small}"),
    )


@pytest.mark.slow
def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shorter: Replacements):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shared.engine.local.available_cores", lambda: 1)  # no processes: each would load torch anew
    film_people(tmp_path)
    names: dict[str, object] = {}
    with one_thread():
        for language, line, text in blocks(PAGE):
            if language == "toml":
                Path("set.toml").write_text(shorter(text), encoding="utf-8")
            else:
                assert language == "python", f"line {line}: a block of {language or 'no language'} is not run"
                run_code(shorter(text), PAGE, line, names)
    assert shorter.all_used()
    assert names["record"].label == "fake"
    assert names["scores"].tracks
    assert Path("case/report.html").is_file()
