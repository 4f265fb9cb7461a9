"""The layout of the source: few modules loose beside the packages, short files, short functions."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("forge", "detect", "shared")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize(("package", "most"), [("forge", 3), ("detect", 3), ("shared", 14)])
def test_few_modules_lie_beside_the_packages(package, most):
    loose = sorted(path.name for path in (ROOT / package).glob("*.py") if path.name != "__init__.py")
    assert len(loose) <= most, loose


def test_files_are_short():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
    assert statistics.median(lengths.values()) <= 150


def test_functions_are_short():
    lengths = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = node.end_lineno - node.lineno + 1
    assert {name: length for name, length in lengths.items() if length > 80} == {}
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= 25


def test_every_package_says_what_it_holds():
    packages = [path for path in SOURCES if path.name == "__init__.py"]
    assert [str(path) for path in packages if not ast.get_docstring(ast.parse(path.read_text()))] == []
    folders = {path.parent for path in SOURCES}
    assert {str(folder) for folder in folders if not (folder / "__init__.py").exists()} == set()
