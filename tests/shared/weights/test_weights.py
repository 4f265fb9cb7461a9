from __future__ import annotations

import hashlib
import io
import urllib.error
from pathlib import Path

import pytest

from shared import weights
from shared.errors import UnknownNameError, WeightsError
from shared.weights.table import TABLE, WeightsFile

CONTENT = b"weights " * 1000
PINNED = WeightsFile(
    "made-up",
    "made-up.bin",
    hashlib.sha256(CONTENT).hexdigest(),
    len(CONTENT),
    "tests",
    "CC0",
    url="https://example.org/made-up.bin",
)
IN_PACKAGE = WeightsFile(
    "carried",
    "models/carried.bin",
    hashlib.sha256(b"carried").hexdigest(),
    7,
    "tests",
    "CC0",
    package="no_such_package_here",
    distribution="no-such-package",
)


@pytest.fixture(autouse=True)
def table(tmp_path, monkeypatch):
    """A table of two files and caches of their own."""
    monkeypatch.setattr(weights, "TABLE", (PINNED, IN_PACKAGE))
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_every_row_of_the_table_is_complete():
    assert len({entry.name for entry in TABLE}) == len(TABLE)
    assert len({entry.sha256 for entry in TABLE}) == len(TABLE)
    assert len({entry.file_name for entry in TABLE}) == len(TABLE)
    for entry in TABLE:
        assert len(entry.sha256) == 64
        assert set(entry.sha256) <= set("0123456789abcdef")
        assert (entry.package is None) == (entry.url is not None)
        assert entry.url is None or entry.url.startswith("https://")
        assert entry.purpose
        assert entry.license


def test_a_missing_file_is_an_error_with_both_ways_to_get_it():
    assert weights.find("made-up") is None
    assert weights.status("made-up").state == "missing"
    with pytest.raises(WeightsError) as caught:
        weights.require("made-up")
    hint = caught.value.hint or ""
    assert "assay weights fetch made-up" in hint
    assert "https://example.org/made-up.bin" in hint
    with pytest.raises(WeightsError) as caught:
        weights.require("carried")
    assert caught.value.hint == "pip install no-such-package"


def test_an_unknown_name_is_refused():
    with pytest.raises(UnknownNameError, match="made-upp"):
        weights.require("made-upp")


def test_import_knows_files_by_their_bytes_and_looks_through_folders(tmp_path):
    stick = tmp_path / "stick"
    (stick / "deep").mkdir(parents=True)
    (stick / "deep" / "renamed.dat").write_bytes(CONTENT)
    (stick / "made-up.bin").write_bytes(b"another file of that name")
    copied = weights.import_files([stick])
    assert [(path.name, entry.name) for path, entry in copied] == [("renamed.dat", "made-up")]
    assert weights.require("made-up") == weights.weights_home() / "made-up.bin"
    assert weights.read("made-up") == CONTENT


def test_importing_what_does_not_exist_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        weights.import_files([tmp_path / "gone"])


def place(folder: Path, content: bytes, name: str = "made-up.bin") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_file_with_other_bytes_is_never_handed_out():
    path = place(weights.weights_home(), CONTENT[:-1] + b"?")
    assert weights.status("made-up").state == "damaged"
    for load in (weights.require, weights.read):
        with pytest.raises(WeightsError, match="SHA-256 differs") as caught:
            load("made-up")
        assert str(path) in str(caught.value)
        assert "delete it" in (caught.value.hint or "")


def test_a_file_that_changes_after_it_was_checked_is_checked_again():
    path = place(weights.weights_home(), CONTENT)
    assert weights.require("made-up") == path
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(WeightsError):
        weights.require("made-up")


def test_a_good_copy_elsewhere_goes_before_a_damaged_one(tmp_path):
    place(weights.weights_home(), b"damaged")
    good = place(tmp_path / "torch" / "hub" / "checkpoints", CONTENT)
    assert weights.require("made-up") == good
    assert weights.status("made-up").place == "torch hub"


def test_what_a_package_carries_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "site" / "no_such_package_here"
    place(package / "models", b"carried", "carried.bin")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(package.parent))
    assert weights.require("carried") == package / "models" / "carried.bin"
    assert weights.status("carried").place == "package"


class Answer(io.BytesIO):
    """What a server sends."""

    def __init__(self, content: bytes, url: str = "https://example.org/made-up.bin") -> None:
        super().__init__(content)
        self.url = url


def serve(monkeypatch, answer: object) -> list[float]:
    timeouts: list[float] = []

    def urlopen(request, timeout):
        timeouts.append(timeout)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    return timeouts


def test_fetch_downloads_once(monkeypatch):
    timeouts = serve(monkeypatch, Answer(CONTENT))
    path = weights.fetch("made-up", timeout_seconds=3)
    assert path.read_bytes() == CONTENT
    assert weights.fetch("made-up") == path
    assert timeouts == [3]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(CONTENT[:-1]), "is not the file pinned"),
        (Answer(CONTENT + b"x" * (2 << 20)), "more than the 8000 bytes"),
        (Answer(CONTENT, "http://example.org/made-up.bin"), "not https"),
        (urllib.error.URLError("Name or service not known"), "cannot download"),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError("reset"), "reset"),
    ],
    ids=["cut short", "endless", "downgraded", "offline", "slow", "reset"],
)
def test_a_download_that_goes_wrong_leaves_nothing_behind(monkeypatch, answer, reason):
    serve(monkeypatch, answer)
    with pytest.raises(WeightsError, match=reason) as caught:
        weights.fetch("made-up")
    assert "assay weights import" in (caught.value.hint or "")
    assert list(weights.weights_home().iterdir()) == []


def test_what_comes_in_a_package_is_not_fetched(monkeypatch):
    timeouts = serve(monkeypatch, Answer(b"carried"))
    with pytest.raises(WeightsError, match="inside a package"):
        weights.fetch("carried")
    assert timeouts == []
