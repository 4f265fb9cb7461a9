"""Production code uses the words of the glossary: old words that stood for several things do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = sorted(
    path
    for package in ("forge", "detect", "shared", "benchmarks")
    for path in (ROOT / package).rglob("*")
    if path.suffix in (".py", ".pyi", ".toml", ".j2", ".html") and "__pycache__" not in path.parts
)
INSTEAD = {
    r"judg(?:e[sd]?|ing|e?ments?)": "score, evaluate, select, decide",
    r"gauges?": "metric",
    r"worth\w*": "a plain statement of the value",
    r"taught": "trained, supervised",
    r"wish(?:e[sd])?": "wanted, overrides",
    r"hedge[sd]?": "qualify",
    r"critics?": "adversary, discriminator",
    r"clockwork": "timing",
    r"survey\w*": "dataset, quality",
    r"the disk refused": "writing failed",
    r"leads? nowhere": "does not exist",
    r"cannot be had": "is not available",
}
CLASSES = {
    "Cast",
    "Critic",
    "DataWatch",
    "Drawn",
    "Gauge",
    "Journal",
    "Judge",
    "Learned",
    "Mover",
    "Order",
    "Rendered",
    "Session",
    "TaughtBy",
    "Told",
    "Wish",
    "Worth",
}
MODULES = {
    "cast",
    "clip_tasks",
    "clockwork",
    "codes",
    "critics",
    "draws",
    "examples",
    "games",
    "gauges",
    "journal",
    "judging",
    "orders",
    "session",
    "survey",
    "truth",
}
KEPT = {
    ("detect/models/multitask.py", "judge"): "a name in the state of saved detectors",
    ("detect/scoring/dataset.py", "judges"): "a key of evaluation.json",
    ("detect/commands/folds.py", "judged"): "a key of the command's JSON document",
    ("detect/evaluation/evaluate.py", "judge"): "a note in evaluation.json",
    ("detect/inspection/inspect.py", "judge"): "a sentence in report.json",
    ("detect/inspection/inspect.py", "judges"): "a sentence in report.json",
    ("forge/speaking/reading/words.toml", "judge"): "a word that is read aloud",
    ("forge/speaking/reading/words.toml", "judged"): "a word that is read aloud",
    ("forge/speaking/reading/words.toml", "taught"): "a word that is read aloud",
    ("forge/training/trainer.py", "critic"): "a term in metrics.jsonl",
    ("shared/dataset/audit/findings.py", "judge"): "a verdict in audit.json",
    ("shared/dataset/audit/plots.py", "judge"): "a verdict in audit.json",
    ("shared/dataset/audit/report.py", "judge"): "a verdict in audit.json",
}
_WORDS = re.compile("|".join(rf"(?<![a-z])(?:{word})(?![a-z])" for word in INSTEAD), re.IGNORECASE)


def found_words(text: str) -> Iterator[tuple[int, str]]:
    """Line number and old word, in names (``_judge``, ``TheJudge``) as in sentences."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    for number, line in enumerate(spaced.split("\n"), 1):
        for match in _WORDS.finditer(line):
            yield number, match[0].lower()


def test_old_words_do_not_come_back():
    faults = []
    for path in CODE:
        name = path.relative_to(ROOT).as_posix()
        for line, word in found_words(path.read_text(encoding="utf-8")):
            if (name, word) not in KEPT:
                faults.append(f"{name}:{line} {word}")
    assert not faults, f"{faults[:10]}; see INSTEAD for what to write"


def test_old_names_of_classes_and_modules_do_not_come_back():
    for path in CODE:
        assert path.stem not in MODULES, path
        if path.suffix == ".py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
            assert not CLASSES.intersection(names), path


def test_every_exception_is_needed():
    for name, word in KEPT:
        assert word in {found for _line, found in found_words((ROOT / name).read_text(encoding="utf-8"))}, (name, word)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def _judge(x):", ["judge"]),
        ("class ClipJudge:", ["judge"]),
        ("is it worthless?", ["worthless"]),
        ("StorageError: the disk refused.", ["the disk refused"]),
        ("a hedgehog-free prejudged sentence", []),
        ("a score is evaluated", []),
    ],
)
def test_words_are_found_in_names_and_sentences(text: str, words: list[str]):
    assert [word for _line, word in found_words(text)] == words
