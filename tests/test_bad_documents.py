"""Every JSON document that may come from outside is refused in one sentence when it is hostile, and all are read alike.

``ALLOWED`` lists the only places where a parser is called, with the reason. Whoever needs another document reads it
with ``shared.storage.read_json``, ``decode_json``, ``shared.config.load_json`` or ``read_toml``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks.schema import load_result
from detect.calibration.domain import read_domain
from detect.calibration.maps import read_calibration
from detect.metrics.compare import read_scores
from detect.models.checkpoint import CONFIG_NAME, WEIGHTS_NAME, read_facts
from detect.models.external.settings import read_description
from detect.models.training_record import read_training_record
from forge.building.intermediates import read_facts as read_shot
from forge.building.steps import read_made
from forge.quality.leakage import embedder_in_loss
from shared.dataset.formats.tree import read_json as read_foreign
from shared.dataset.manifest import read_manifest
from shared.dataset.seal import read_seal, write_seal
from shared.errors import AssayError
from shared.provenance.identity import SigningIdentity
from shared.provenance.signed_list import read_signed
from shared.results.quality import read_quality
from shared.results.scoreboard import read_scoreboard
from shared.training.checkpoint import read_checkpoint
from shared.training.run import read_facts as read_run

ROOT = Path(__file__).parent.parent

ALLOWED: dict[str, str] = {
    "shared/storage.py": "the reader of JSON itself",
    "shared/config.py": "the reader of TOML itself",
    "shared/dataset/manifest.py": "one typed decoder for the lines, each at most 1 MiB, no key beside those known",
    "shared/dataset/seal.py": "the id alone of such a line: at each change of a set, so it has to be fast",
    "detect/scoring/python_worker.py": "lines of its own parent; it has to start without the other modules",
    "benchmarks/tamper.py": "edits what the benchmark itself has just written",
}
PARSERS = {"json.load", "json.loads", "json.decode", "json.Decoder", "json.JSONDecoder", "tomllib.load",
           "tomllib.loads", "toml.decode", "yaml.decode", "msgpack.decode"}  # fmt: skip

DEEP = b"[" * 100_000
BAD: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"a": [1, 2',
    "deep list": DEEP,
    "deep object": b'{"a":' * 100_000,
    "deep in a key": b'{"other": ' + DEEP + b"]" * 100_000 + b"}",
    "deep enough to be parsed": b'{"other": ' + b"[" * 500 + b"]" * 500 + b"}",
    "no text": b'{"a": "\xff\xfe"}',
    "another encoding": '{"a": 1}'.encode("utf-16"),
    "no object": b"17",
    "too large a number": b'{"a": 1' + b"0" * 5000 + b"}",
}


def _detector(read: Callable[[Path], object], name: str) -> Callable[[Path, bytes], object]:
    def inner(folder: Path, data: bytes) -> object:
        for each in (CONFIG_NAME, WEIGHTS_NAME, name):
            (folder / each).write_bytes(data)
        return read(folder)

    return inner


def _file(read: Callable[[Path], object], name: str = "x.json") -> Callable[[Path, bytes], object]:
    """``read`` of the file itself, or of its folder when ``name`` is given."""

    def inner(folder: Path, data: bytes) -> object:
        (folder / name).write_bytes(data)
        return read(folder / name if name == "x.json" else folder)

    return inner


def _checkpoint(folder: Path, data: bytes) -> object:
    text = data.decode("utf-8", "replace")
    save_file({"a": np.zeros(1, np.float32)}, folder / "x.safetensors", metadata={"assay": text})
    return read_checkpoint(folder / "x.safetensors")


def _sealed_lines(folder: Path, data: bytes) -> object:
    (folder / "manifest.jsonl").write_bytes(data.replace(b"\n", b" ") + b"\n")
    return write_seal(folder, "x", SigningIdentity.load_or_create(), drafts=folder)


READERS: dict[str, Callable[[Path, bytes], object]] = {
    "scoreboard": _file(read_scoreboard),
    "quality": _file(lambda path: read_quality([path])),
    "benchmark": _file(load_result),
    "signed list": _file(read_signed),
    "list of another set": _file(read_foreign),
    "description of a network": _file(read_description),
    "seal": _file(read_seal, "dataset.sig"),
    "seal of lines": _sealed_lines,
    "manifest": _file(lambda folder: read_manifest(folder / "manifest.jsonl"), "manifest.jsonl"),
    "run": _file(read_run, "run.json"),
    "settings of a run": _file(lambda folder: embedder_in_loss(folder, "x"), "config.toml"),
    "checkpoint": _checkpoint,
    "shot": _file(read_shot, "shot.json"),
    "master": _file(read_made, "master.json"),
    "scores": _file(read_scores, "scores.jsonl"),
    "detector": _detector(read_facts, CONFIG_NAME),
    "calibration": _detector(read_calibration, "calibration.json"),
    "domain": _detector(read_domain, "validated.json"),
    "learned": _detector(read_training_record, "learned.json"),
}
LENIENT: dict[tuple[str, str], str] = {
    ("scores", "empty"): "no clip was scored",
    ("manifest", "empty"): "a set without clips",
    ("settings of a run", "empty"): "all settings at their defaults",
    ("list of another set", "no text"): "bad bytes do not stop a list",
    ("list of another set", "no object"): "any document is one; whoever reads it checks its shape",
    ("checkpoint", "no text"): "the library that writes the file takes text alone",
}
"""Reader and document that it takes, and why it may."""


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("reader", READERS)
def test_a_hostile_document_is_refused_in_one_sentence(reader: str, bad: str, tmp_path: Path):
    if (reader, bad) in LENIENT:
        READERS[reader](tmp_path, BAD[bad])
        return
    with pytest.raises(AssayError) as caught:
        READERS[reader](tmp_path, BAD[bad])
    assert caught.value.hint
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def _dotted(node: ast.Attribute) -> str:
    """The last two names of an attribute: ``json.loads`` also of ``msgspec.json.loads``."""
    owner = node.value
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return f"{name}.{node.attr}"


def _calls_a_parser(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and _dotted(node) in PARSERS:
            return True
        if isinstance(node, ast.ImportFrom) and node.module in ("json", "tomllib", "msgspec.json", "msgspec.toml"):
            return True
        if isinstance(node, ast.Import) and any(
            alias.asname and alias.name.split(".")[-1] in ("json", "tomllib", "toml") for alias in node.names
        ):
            return True
    return False


def test_documents_are_parsed_in_one_place():
    files = [path for top in ("shared", "forge", "detect", "benchmarks") for path in sorted((ROOT / top).rglob("*.py"))]
    found = {path.relative_to(ROOT).as_posix() for path in files if _calls_a_parser(path)}
    assert found == set(ALLOWED), "read documents with shared.storage.read_json or shared.config.read_toml"


@pytest.mark.parametrize(
    ("source", "parses"),
    [
        ("import json\njson.loads(text)", True),
        ("import msgspec\nmsgspec.json.decode(data, type=X)", True),
        ("import msgspec.json\nread = msgspec.json.decode", True),
        ("from json import loads", True),
        ("import json as j", True),
        ("import tomllib\ntomllib.load(file)", True),
        ("import json\njson.dumps(value)", False),
        ("import msgspec\nmsgspec.json.encode(value)", False),
    ],
)
def test_a_parser_is_seen_whatever_it_is_called(source: str, parses: bool, tmp_path: Path):
    (tmp_path / "x.py").write_text(source)
    assert _calls_a_parser(tmp_path / "x.py") is parses
