"""The notebook ``docs/loop.ipynb`` is a plain one, and its code runs from top to bottom, without Jupyter."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from tests.pages import ROOT, Replacements, run_code
from tests.same_outputs import one_thread

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "loop.ipynb"


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    return json.loads(PAGE.read_text(encoding="utf-8"))


@pytest.fixture
def shorter() -> Replacements:
    """Short, small clips and trainings of a few steps."""
    return Replacements(
        ("CLIP_SECONDS = 1.6", "CLIP_SECONDS = 0.48"),
        ("CLIP_PX = 256", "CLIP_PX = 128"),
        ("SWAPPER_STEPS = 1000", "SWAPPER_STEPS = 2"),
        ("width = 0.25", "width = 0.05, batch = 2"),
        ('name = "actors"\n', 'name = "actors"\nmin_face_px = 16\n[faces]\npx = 64\nmin_face_px = 16\n'),
        ("minutes=DETECTOR_MINUTES", 'steps=2, batch=2, model="test_efficientnet", pretrained=False, input_px=64, '
         'frames_per_clip=3, faces={"min_face_px": 16}'),
    )  # fmt: skip


def test_it_is_a_notebook_without_outputs(notebook: dict[str, Any]):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", one) for one in ids)
    for cell in notebook["cells"]:
        wanted = {"cell_type": cell["cell_type"], "id": cell["id"], "metadata": {}, "source": cell["source"]}
        if cell["cell_type"] == "code":
            wanted |= {"execution_count": None, "outputs": []}
        assert cell == wanted
        assert cell["cell_type"] in ("code", "markdown")
        assert all(isinstance(line, str) for line in cell["source"])


@pytest.mark.slow
def test_its_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notebook: dict[str, Any], shorter: Replacements
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shared.engine.local.available_cores", lambda: 1)  # no processes: each would load torch anew
    names: dict[str, object] = {}
    plt.switch_backend("agg")
    try:
        with one_thread():
            for number, cell in enumerate(notebook["cells"]):
                if cell["cell_type"] == "code":
                    run_code(shorter("".join(cell["source"])), PAGE.with_name(f"loop.ipynb, cell {number}"), 1, names)
    finally:
        plt.close("all")
    assert shorter.all_used()
    assert names["scores"].tracks
    assert Path("case/report.html").is_file()
