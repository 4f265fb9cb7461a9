"""Only one module opens media."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLACE = Path("shared/video/container.py")
FILES = sorted(
    path.relative_to(ROOT)
    for package in ("shared", "forge", "detect", "benchmarks")
    for path in (ROOT / package).rglob("*.py")
)
CHANNELS = {"open", "VideoCapture", "VideoWriter"}


def openings(source: str) -> list[int]:
    """Lines that open media themselves: ``av.open``, ``av.container.open``, OpenCV's own reader and writer."""
    found: list[int] = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in CHANNELS
            and ast.unparse(node.value) in ("av", "cv2", "av.container")
        ):
            found.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module in ("av", "av.container", "cv2"):
            found += [node.lineno for alias in node.names if alias.name in CHANNELS]
    return found


def test_only_one_module_opens_media():
    assert len(FILES) > 100
    outside = {str(path): lines for path in FILES if path != PLACE and (lines := openings((ROOT / path).read_text()))}
    assert outside == {}
    # One for reading, with its lists of formats and protocols, and one for writing.
    assert len(openings((ROOT / PLACE).read_text())) == 2


@pytest.mark.parametrize(
    "source",
    ["import av\nav.open('x')", "from av import open", "import cv2\ncv2.VideoCapture(0)", "f = av.container.open"],
)
def test_the_rule_sees_every_way(source):
    assert openings(source)
