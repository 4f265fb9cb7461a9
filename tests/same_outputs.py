"""Makes a little of everything through the command line, and digests (:mod:`tests.output_digests`) of every file.

    python -m tests.same_outputs OUT.json       # run in a temporary folder, then write the digests
    python -m tests.same_outputs OUT.json DIR   # the same, and keep what was made in DIR (which must not exist)

Procedural actors, fixed seeds, one thread, CPU. ``test_same_outputs.py`` holds what it gives against
``data/same_outputs.json``; when outputs change on purpose, write that file anew with this script.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import torch

from tests.output_digests import describe, written

_SEED = "3"
_CPU = ("--device", "cpu")
_EXACT = (*_CPU, "--precision", "float32")

_SWAPPER = """
model = "lightweight"
width = 0.05
steps = 100
batch = 2
holdout = 0.25
precision = "float32"
preview_every = 50
save_every = 50
"""

_SET = """
renditions = ["c23"]

[set]
name = "built"
finder = "sidecar"
min_face_px = 16
seed = 4

[faces]
px = 48
min_face_px = 16
embed_every = 0

[splits]
{splits}

{people}

[[swapper]]
name = "light"
steps = [2, 4]
settings = {{ model = "lightweight", width = 0.05, batch = 2, precision = "float32", preview_every = 100 }}

[[manipulation]]
name = "part"
swapper = "light"
steps = [4]
segments = {{ share = 0.5 }}
settings = {{ mask = {{ kind = "hull" }} }}

[[manipulation]]
name = "ladder"
swapper = "light"
pairs = "ring"
factors = {{ "color.method" = ["mean-std", "lct"] }}
combine = "sample:1"
self_swaps = false
"""

_DETECTOR = """
family = "meso4"
model = "meso4"
pretrained = false
input_px = 64
frames_per_clip = 3
steps = 12
batch = 4
warmup_steps = 2
lr = 0.01
ema_decay = 0.5
evaluate_every = 4
save_every = 6
precision = "float32"
workers = 1

[faces]
finder = "dlib"
min_face_px = 16
"""

_CALIBRATION = """
fewest_clips = 2
fewest_people = 2
replicates = 20
"""


def run(*arguments: str | Path) -> Any:
    """Runs one command line; the JSON document that it says, or None where it says nothing."""
    from shared.cli import run as run_command

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = run_command(["--quiet", "--json", *map(str, arguments)])
    if code != 0:
        raise RuntimeError(f"assay {' '.join(map(str, arguments))} ended with {code}")
    return json.loads(said.getvalue()) if said.getvalue().strip() else None


def film_cast(folder: Path, count: int, *, seconds: float = 0.48, px: int = 128) -> list[str]:
    """Films procedural actors into ``folder``, a clip each with its landmarks beside it; their names."""
    from shared.actors import cast, film

    actors = cast(count, 5)
    for actor in actors:
        film(actor, folder / f"{actor.name}.mp4", seconds=seconds, px=px, seed=1)
    return [actor.name for actor in actors]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums over other numbers of threads differ in their last bits."""
    before, cv_before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(cv_before)


def make_everything(folder: Path) -> None:
    """Makes a little of everything in ``folder``, which is made; all paths that commands see are relative to it."""
    folder.mkdir(parents=True)
    with contextlib.chdir(folder), one_thread():
        people = film_cast(Path("clips"), 6)
        _make_swapper(people)
        _make_small_set(people)
        _make_pictures(people)
        _build_set(people)
        _make_detector()


def _make_swapper(people: list[str]) -> None:
    for name in people[:4]:
        run("faces", "extract", f"clips/{name}.mp4", "--identity", name, "--rights", "synthetic", "--finder", "sidecar",
            "--px", "64", "--min-face-px", "16", "--out", f"faces/{name}")  # fmt: skip
    run("faces", "show", f"faces/{people[0]}", "--deep", "--sheet", "sheet.png")
    Path("swapper.settings.toml").write_text(_SWAPPER, encoding="utf-8")
    run("forge", "train", *(f"faces/{name}" for name in people[:4]), "--run", "swapper", "--config",
        "swapper.settings.toml", "--seed", _SEED, *_CPU)  # fmt: skip
    run("forge", "redraw", f"faces/{people[0]}", "--run", "swapper", "--source", people[1], "--out", "redrawn", *_CPU)


def _make_small_set(people: list[str]) -> None:
    target, source = people[:2]
    run("dataset", "init", "set", "--name", "set", "--license", "CC0-1.0")
    for name in people[:4]:
        finder = ("--finder", "dlib") if name == target else ()
        run("dataset", "add", "set", f"clips/{name}.mp4", "--identity", name, "--rights", "synthetic", *finder)
    run("forge", "swap", f"clips/{target}.mp4", *_swapping(target, source), "--out", "set")
    run("dataset", "split", "set", "--train", "0.5", "--val", "0.25", "--test", "0.25", "--seed", _SEED)
    run("dataset", "verify", "set")
    run("forge", "quality", "set", "--faces", f"faces/{source}", "--faces", f"faces/{target}", "--run", "swapper",
        "--finder", "dlib", "--out", "quality.json", *_CPU)  # fmt: skip


def _swapping(target: str, source: str) -> tuple[str, ...]:
    return ("--run", "swapper", "--source", source, "--target-identity", target, "--rights", "synthetic",
            "--finder", f"sidecar:clips/{target}.landmarks.parquet", "--seed", _SEED, *_CPU)  # fmt: skip


def _make_pictures(people: list[str]) -> None:
    target, source = people[:2]
    Path("pictures").mkdir()
    with av.open(f"clips/{target}.mp4") as container:
        for number, frame in zip(range(4), container.decode(video=0), strict=False):
            frame.to_image().save(f"pictures/{number:03d}.png")
    run("forge", "swap", "pictures", "--frames", *_swapping(target, source), "--out", "swapped")


def _build_set(people: list[str]) -> None:
    groups = {"train": people[:2], "val": people[2:4], "test": people[4:]}
    text = _SET.format(
        splits="\n".join(f"{split} = {names!r}" for split, names in groups.items()),
        people="\n".join(
            f'[[identity]]\nname = "{name}"\nrights = "synthetic"\nclips = ["clips/{name}.mp4"]' for name in people
        ),
    )
    Path("set.toml").write_text(text, encoding="utf-8")
    run("forge", "build", "set.toml", "--out", "built", "--jobs", "1")
    run("dataset", "verify", "built")


def _make_detector() -> None:
    Path("detector.settings.toml").write_text(_DETECTOR, encoding="utf-8")
    Path("calibration.settings.toml").write_text(_CALIBRATION, encoding="utf-8")
    run("detect", "train", "built", "--run", "detector", "--config", "detector.settings.toml", "--seed", _SEED, *_CPU)
    run("detect", "calibrate", "detector", "--dataset", "built", "--config", "calibration.settings.toml", "--frames",
        "3", *_EXACT)  # fmt: skip
    run("detect", "evaluate", "detector", "built", "--out", "evaluation", "--frames", "3", "--replicates", "50",
        *_EXACT)  # fmt: skip
    fake = next(path for path in sorted(Path("set/media").rglob("*.mp4")) if "real" not in path.parts)
    run("inspect", fake, "--detector", "detector", "--out", "case", *_CPU)


def main(arguments: list[str]) -> None:
    """See the module's text."""
    out = Path(arguments[0]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ASSAY_HOME"] = str(Path(scratch) / "home")
        made = Path(arguments[1]).resolve() if len(arguments) > 1 else Path(scratch) / "made"
        make_everything(made)
        out.write_text(written(describe(made)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
