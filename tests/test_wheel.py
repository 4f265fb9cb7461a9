"""What a wheel holds: three packages with their data, the pages that messages name, and ``python -m assay``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile

import pytest

from tests.pages import ROOT

PACKAGES = ("detect", "forge", "shared")
PAGE = re.compile(r"assay docs ([a-z-]+)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The folder of an unpacked wheel of this tree."""
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("wheel")
    [file] = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def assay(wheel, *words: str) -> subprocess.CompletedProcess:
    """``python -m assay`` with the wheel's files alone, away from the tree."""
    environment = {**os.environ, "PYTHONPATH": str(wheel), "COLUMNS": "80"}
    line = [sys.executable, "-m", "assay", *words]
    return subprocess.run(line, cwd=wheel.parent, env=environment, capture_output=True, encoding="utf-8", timeout=300)


def test_the_packages_and_the_module_assay_are_all_that_can_be_imported(wheel):
    top = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {*PACKAGES, "assay.py"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_its_modules_its_data_and_its_types(wheel, package):
    files = [p.relative_to(ROOT) for p in (ROOT / package).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    moved = {"shared/commands/assay.py"}
    assert {file.as_posix() for file in files if not (wheel / file).is_file()} <= moved
    assert (wheel / package / "py.typed").is_file()


def test_every_page_is_there_and_every_page_that_a_message_names(wheel):
    pages = {path.stem for path in (wheel / "shared" / "docs").iterdir()}
    assert pages == {path.stem for path in (ROOT / "docs").glob("*.md")}
    named = {
        name for package in PACKAGES for p in (ROOT / package).rglob("*.py") for name in PAGE.findall(p.read_text())
    }
    assert named
    assert named <= pages


def test_no_message_names_a_file_that_a_wheel_does_not_hold():
    """A docstring may: who reads it has the source."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            without_docstrings = re.sub(r'""".*?"""', "", path.read_text(), flags=re.S)
            assert not re.search(r"\bdocs/[\w-]+\.md|benchmarks/", without_docstrings), path


def test_python_m_assay_is_the_command(wheel):
    shown = assay(wheel, "--version")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("assay ")


def test_a_page_is_read_from_the_wheel(wheel):
    shown = assay(wheel, "docs", "engines")
    assert shown.returncode == 0, shown.stderr
    assert "Ray" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    unknown = assay(wheel, "docs", "engnes")
    assert unknown.returncode == 2
    assert "did you mean engines" in unknown.stderr
