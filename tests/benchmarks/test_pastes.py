"""The picture and the table of pastes."""

from __future__ import annotations

import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks import paste_shapes
from benchmarks.__main__ import app
from benchmarks.pastes import MOST_BYTES
from shared.faces.pastes.presets import paste_names, presets


@pytest.mark.slow
def test_the_picture_shows_every_preset_in_few_bytes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- pastes:begin -->\nold\n<!-- pastes:end -->\nafter\n")
    result = CliRunner().invoke(app, ["pastes", "--out", str(tmp_path / "p.jpg"), "--table", str(page)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "p.jpg").stat().st_size <= MOST_BYTES
    with Image.open(tmp_path / "p.jpg") as picture:
        assert picture.width == 4 * 236
        assert picture.height == len(presets()) // 4 * (2 * 236 + 22)
    text = page.read_text()
    assert "old" not in text
    assert all(f"| `{name}` |" in text for name in paste_names() if ":" in name)


def test_the_table_holds_what_was_measured():
    rows = [line for line in paste_shapes.markdown().splitlines() if line.startswith("| `box-soft:box`")]
    half, width = paste_shapes.Pasted("box-soft:box").edge()
    assert [f"| {half:.1f} / {width:.1f} |" in row for row in rows] == [True]
