"""The names of ``forge``, ``detect`` and ``shared.dataset``: real ones, loaded when they are first used."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import detect
import forge
import shared.dataset
import shared.video
from shared.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "cv2", "av", "pyarrow", "scipy", "sklearn", "timm", "matplotlib", "cryptography")
PACKAGES = (forge, detect, shared.dataset, shared.video)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_name_is_there_and_no_other(package):
    assert dir(package) == sorted(package.__all__)
    for name in package.__all__:
        found = getattr(package, name)
        assert found.__name__ == name
        assert found.__module__.startswith(f"{package.__name__}.")
        assert getattr(importlib.import_module(found.__module__), name) is found
    with pytest.raises(AttributeError):
        _ = package.no_such_name


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_type_checkers_see_the_same_modules(package):
    stub = Path(package.__file__).with_suffix(".pyi").read_text()
    for name in package.__all__:
        module = getattr(package, name).__module__.removeprefix(f"{package.__name__}.")
        assert f"from .{module} import {name} as {name}\n" in stub


@pytest.mark.parametrize(
    "code",
    [
        "import forge, detect, shared.dataset, shared.video",
        "import shared.dataset.manifest",
        "from shared.cli import run; run(['--help'])",
        "from shared.cli import run; run(['detect', 'train', '--help'])",
    ],
)
def test_importing_and_help_load_nothing_heavy(code: str):
    """Half a second for ``assay --help`` is what this keeps; a clock would depend on the machine."""
    check = f"{code}\nimport sys\nheavy = [name for name in {HEAVY} if name in sys.modules]\nassert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_both_predictors_load_in_the_same_way():
    def parameters(load):
        return [(p.name, p.kind, p.default, p.annotation) for p in inspect.signature(load).parameters.values()]

    assert parameters(forge.SwapPredictor.load) == parameters(detect.Predictor.load)
    assert [name for name, *_ in parameters(detect.Predictor.load)] == ["path", "device", "precision"]


@pytest.mark.parametrize(
    "call",
    [
        lambda: forge.train_swapper(["faces/ann", "faces/bob"], run="run", minuts=25),
        lambda: forge.swap_clip("bob.mp4", swapper="run", source="ann", dataset="set", minuts=25),
        lambda: detect.train_detector("set", run="run", minuts=25),
        lambda: detect.evaluate_detector("run", "set", minuts=25),
        lambda: detect.score_video("clip.mp4", "run", minuts=25),
        lambda: detect.inspect_file("clip.mp4", "run", out="case", minuts=25),
    ],
)
def test_an_unknown_setting_is_refused_before_anything_is_read(call):
    with pytest.raises(ConfigError, match="unknown setting 'minuts'"):
        call()
