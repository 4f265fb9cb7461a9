"""The reference of the command line: what is in the repository is what the program says."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.main import get_command

from forge.building.spec import load_spec
from shared.cli import build_app

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "make_cli.py"
SHOWING = [*sorted(SCRIPT.parent.glob("*.md")), SCRIPT.parents[1] / "README.md"]


def commands_in(page: Path) -> Iterator[list[str]]:
    """The words of every line in the page's blocks of code that calls ``assay``."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL) + re.findall(
        r"^    (.+)$", text, re.MULTILINE
    )
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        called = re.match(r"(?:\$ |accelerate launch --no_python )?(assay .*)", line)
        if called:
            yield shlex.split(called[1], comments=True)


@pytest.fixture(scope="module")
def make_cli() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_cli", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_program_says(make_cli: ModuleType):
    assert make_cli.PAGE.read_text(encoding="utf-8") == make_cli.render(), "run make docs"


def test_neither_terminal_nor_machine_changes_it(make_cli: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    before = make_cli.render()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert make_cli.render() == before
    assert str(Path.home()) not in before


def test_every_command_has_a_section_and_every_option_a_line(make_cli: ModuleType):
    page = make_cli.render()
    for words in ("assay forge train", "assay dataset split", "assay inspect", "assay weights list"):
        assert f"\n## {words}\n" in page
    assert "| `--pretrained` / `--no-pretrained` |" in page
    assert "| `FACESETS...` | One faceset a person, two or more. | **required** |" in page


def test_check_fails_where_the_page_is_another(make_cli: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    page = tmp_path / "cli.md"
    monkeypatch.setattr(make_cli, "PAGE", page)
    monkeypatch.setattr("sys.argv", ["make_cli.py", "--check"])
    with pytest.raises(SystemExit, match="make docs"):
        make_cli.main()
    monkeypatch.setattr("sys.argv", ["make_cli.py"])
    make_cli.main()
    monkeypatch.setattr("sys.argv", ["make_cli.py", "--check"])
    make_cli.main()
    page.write_text(page.read_text(encoding="utf-8") + "x", encoding="utf-8")
    with pytest.raises(SystemExit):
        make_cli.main()


@pytest.mark.parametrize("page", SHOWING, ids=lambda page: page.name)
def test_commands_that_pages_show_exist_with_their_options(page: Path):
    program = get_command(build_app())
    for line in commands_in(page):
        command, words = program, line[1:]
        while words and words[0] in getattr(command, "commands", {}):
            command, words = command.commands[words[0]], words[1:]
        assert not hasattr(command, "commands") or not words or words[0].isupper() or words[0].startswith("-"), line
        known = {
            name for option in (*command.params, *program.params) for name in (*option.opts, *option.secondary_opts)
        }
        unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known | {"--help"}]
        assert not unknown, f"{' '.join(line)}: {unknown}"


def test_the_settings_that_the_tutorial_shows_are_read(tmp_path: Path):
    block = (SCRIPT.parent / "tutorial.md").read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    (tmp_path / "set.toml").write_text(block, encoding="utf-8")
    spec = load_spec(tmp_path / "set.toml")
    assert [len(spec.splits.named[split]) for split in ("train", "val", "test")] == [2, 4, 2]
