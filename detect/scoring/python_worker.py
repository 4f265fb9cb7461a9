"""Runs a user's ``predict(path) -> float`` in a separate process: reads one path per line, writes one JSON object each.

Started by :mod:`detect.scoring.clip_scorers` as ``python -m detect.scoring.python_worker FILE``. Output of the user's
code goes to the error stream, so that it cannot be taken for a result.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO


def main(arguments: list[str]) -> int:
    """Scores clips until the input ends; returns the exit code."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        predict = load(Path(arguments[0]))
    except Exception as error:  # noqa: BLE001 - the user's own code may raise anything
        _answer(answers, {"fatal": f"{type(error).__name__}: {error}"})
        return 1
    _answer(answers, {"ready": True})
    for line in sys.stdin:
        _answer(answers, ask(predict, json.loads(line)))
    return 0


def load(path: Path) -> Callable[[str], object]:
    """The function ``predict`` of the Python file ``path``, which can import modules beside it."""
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location("assay_external_detector", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    predict = getattr(module, "predict", None)
    if not callable(predict):
        raise AttributeError(f"{path.name} defines no predict(path)")
    return predict


def ask(predict: Callable[[str], object], path: str) -> dict[str, object]:
    """The result of one clip: its score (None without one), or the error."""
    try:
        value = predict(path)
        score = None if value is None else float(value)  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 - the user's own code may raise anything
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    return {"score": score if score is not None and math.isfinite(score) else None}


def _answer(stream: TextIO, document: dict[str, object]) -> None:
    stream.write(json.dumps(document) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
