"""``assay demo``: the whole loop on procedural actors, made of the very commands a user would type.

Nothing is downloaded and no real face is used. The demo drives the public command line, so what it prints can be
typed again with one's own clips.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from shared.console import console
from shared.errors import AssayError, RunError
from shared.storage import write_text

Runner = Callable[[list[str]], None]

_MARK = ".assay-demo"


@dataclass(frozen=True)
class DemoConfig:
    """How large the demo is."""

    groups: tuple[tuple[str, int], ...] = (("train", 4), ("val", 4), ("test", 4))
    """Actors in each split; they are swapped in pairs within a split, so that no identity is in two."""
    clips: int = 2
    """Clips of each actor: the first is learned from, all are swapped."""
    seconds: float = 2.0
    """Length of a clip."""
    px: int = 256
    """Side of a clip's frames."""
    swap_minutes: float = 2.0
    """Longest training of the swapper."""
    detect_minutes: float = 1.5
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
        clip = out / "clips" / f"{name}-0.mp4"
        finder = f"sidecar:{clip.with_suffix('.landmarks.parquet')}"
        run(["faces", "extract", str(clip), "--identity", name, "--rights", "synthetic", "--out",
             str(out / "faces" / name), "--finder", finder, "--px", "192", "--force"])  # fmt: skip

    console.print("\n[bold]3/6  One swapper for everybody[/]", markup=True)
    run(["forge", "train", *(str(out / "faces" / name) for name in everybody), "--run", str(out / "swapper"),
         "--model", "lightweight", "--width", "0.5", "--batch", "8", "--lr", "2e-4", "--minutes",
         str(config.swap_minutes), "--seed", str(config.seed)])  # fmt: skip

    console.print("\n[bold]4/6  A labelled set of real and fake clips[/]", markup=True)
    dataset = out / "set"
    if not (dataset / "dataset.toml").exists():
        run(["dataset", "init", str(dataset), "--name", "demo"])
    fakes = _fill_dataset(out, dataset, groups, config, run)
    for split, names in groups.items():
        run(["dataset", "split", str(dataset), "--group", f"{split}={','.join(names)}"])
    run(["dataset", "verify", str(dataset)])
    run(["dataset", "show", str(dataset)])

    console.print("\n[bold]5/6  A detector, and how good it is[/]", markup=True)
    run(["detect", "train", str(dataset), "--run", str(out / "detector"), "--minutes", str(config.detect_minutes),
         "--seed", str(config.seed)])  # fmt: skip
    run(["detect", "evaluate", str(out / "detector"), str(dataset), "--out", str(out / "evaluation")])

    console.print("\n[bold]6/6  Inspecting a fake and a real clip[/]", markup=True)
    test = groups["test"]
    finder_of = _sidecars(out)
    suspects = {"case-fake": (fakes[-1][1], fakes[-1][0]), "case-real": (f"{test[0]}-0", None)}
    for case, (clip_name, fake_name) in suspects.items():
        media = dataset / "media" / f"{fake_name or clip_name}.mp4"
        run(["inspect", str(media), "--detector", str(out / "detector"), "--out", str(out / case),
             "--finder", finder_of(clip_name), "--force"])  # fmt: skip
    _farewell(out, dataset, fakes[-1][0], time.monotonic() - started)


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


def _fill_dataset(
    out: Path, dataset: Path, groups: dict[str, list[str]], config: DemoConfig, run: Runner
) -> list[tuple[str, str]]:
    """Adds every clip as real and swaps within pairs; gives (fake's name, target clip's name) pairs."""
    fakes: list[tuple[str, str]] = []
    for names in groups.values():
        for one, other in zip(names[::2], names[1::2], strict=True):
            for target, source in ((one, other), (other, one)):
                for take in range(config.clips):
                    stem = f"{target}-{take}"
                    clip = out / "clips" / f"{stem}.mp4"
                    finder = f"sidecar:{clip.with_suffix('.landmarks.parquet')}"
                    run(["dataset", "add", str(dataset), str(clip), "--identity", target, "--rights", "synthetic",
                         "--name", stem, "--finder", finder])  # fmt: skip
                    fake = f"{stem}-as-{source}"
                    run(["forge", "swap", str(clip), "--run", str(out / "swapper"), "--source", source, "--out",
                         str(dataset), "--target-identity", target, "--rights", "synthetic", "--name", fake,
                         "--finder", finder])  # fmt: skip
                    fakes.append((fake, stem))
    return fakes


def _sidecars(out: Path) -> Callable[[str], str]:
    return lambda clip_name: f"sidecar:{out / 'clips' / clip_name}.landmarks.parquet"


def _farewell(out: Path, dataset: Path, fake: str, seconds: float) -> None:
    minutes = Fraction(round(seconds), 60)
    places = (
        ("side by side", dataset / "previews" / f"{fake}.jpg"),
        ("training previews", out / "swapper" / "previews" / "latest.jpg"),
        ("a fake clip", dataset / "media" / f"{fake}.mp4"),
        ("the labelled set", dataset),
        ("evaluation", out / "evaluation" / "evaluation.json"),
        ("report on a fake", out / "case-fake" / "report.html"),
        ("report on a real", out / "case-real" / "report.html"),
    )
    missing = [str(path) for _, path in places if not path.exists()]
    if missing:
        raise AssayError(f"the demo ended without {', '.join(missing)}", hint="this is a defect; please report it")
    console.table(f"Done in {float(minutes):.1f} minutes. Where to look:", ["what", "where"], places)
