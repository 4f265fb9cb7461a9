"""The pages: links lead somewhere, named files exist, every page can be reached, numbers say when they were made."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
LINKING = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_OWN_FOLDERS = "forge|detect|shared|benchmarks|tests|docs"
_PATH = re.compile(rf"(?<![\w./-])(?:{_OWN_FOLDERS})/[\w./-]*\w/?|(?<![\w./-])\.ci/\w+")
_CODE = re.compile(r"`([^`\n]+)`")
_MODULE = re.compile(r"(?<![\w:.])[a-z_][\w/]*\.py\b")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def prose(path: Path) -> str:
    """The page without its blocks of code."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> frozenset[str]:
    """What a link may name after ``#``: the headings, as GitHub writes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading.strip().lower())
        found.add(plain.replace(" ", "-"))
    return frozenset(found)


def links(path: Path) -> Iterator[tuple[str, Path, str]]:
    """Each relative link of a page: as written, its file, its anchor."""
    for link in _LINK.findall(prose(path)):
        if not re.match(r"[a-z]+:", link):
            file, _, anchor = link.partition("#")
            yield link, (path.parent / file).resolve() if file else path, anchor


@cache
def tracked() -> frozenset[str]:
    """Every file of the repository; those on disk where there is no git."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return frozenset(done.stdout.splitlines())
    return frozenset(name_of(path) for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts)


@pytest.mark.parametrize("page", LINKING, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path):
    broken = [
        link
        for link, file, anchor in links(page)
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file))
    ]
    assert not broken, f"{name_of(page)}: {broken}"


def test_every_page_is_reached_from_the_index():
    index = DOCS / "README.md"
    listed = {file for _, file, _ in links(index)}
    assert not [name_of(page) for page in PAGES if page != index and page not in listed]


@pytest.mark.parametrize("page", LINKING, ids=name_of)
def test_named_files_and_folders_are_in_the_tree(page: Path):
    text = page.read_text(encoding="utf-8")
    missing = [path for path in _PATH.findall(text) if not (ROOT / path).exists()]
    modules = [name for code in _CODE.findall(text) for name in _MODULE.findall(code)]
    missing += [name for name in modules if not any(f"/{file}".endswith(f"/{name}") for file in tracked())]
    assert not missing, f"{name_of(page)}: {sorted(set(missing))}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_numbers_of_a_benchmark_say_when_they_were_measured(page: Path):
    text = prose(page)
    for file in {
        file for _, file, _ in links(page) if file.parent == ROOT / "benchmarks" / "results" and file.suffix == ".json"
    }:
        when = date.fromisoformat(json.loads(file.read_text(encoding="utf-8"))["date"])
        assert re.search(rf"[Mm]easured\s+in\s+{when:%B}\s+{when:%Y}", text), (
            f"{name_of(page)}: {file.name} is of {when:%B %Y}"
        )


def test_words_of_the_glossary_are_in_order_and_once():
    words = [word.lower() for word in re.findall(r"^\* \*\*(.+?)\*\*", prose(DOCS / "glossary.md"), re.MULTILINE)]
    assert len(words) > 100
    assert words == sorted(set(words))


def test_import_order_is_that_of_the_contracts():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    shown = text.split("<!-- layers -->")[1].split("```")[1]
    orders = {}
    for part in re.split(r"^(?=\w+:)", shown.strip(), flags=re.MULTILINE):
        package, colon, order = part.partition(":")
        if colon:
            orders[package] = [" ".join(layer.split()) for layer in order.split(">")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    assert orders == {one["containers"][0]: one["layers"] for one in contracts if one["type"] == "layers"}
