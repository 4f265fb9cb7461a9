"""The command that measures re-enactments."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from benchmarks.app import Save, app, command_line, show
from benchmarks.schema import Measurement, new_result

if TYPE_CHECKING:
    from benchmarks.reenact import Trained
    from forge.reenacting.config import FamilyName


@app.command()
def reenact(
    media: Annotated[Path | None, typer.Option(help="Folder of real clips.", show_default="$ASSAY_MEDIA/media")] = None,
    frames: Annotated[int, typer.Option(help="Frames of each clip.", min=10)] = 75,
    actors: Annotated[int, typer.Option(help="Procedural actors, each driven by the next.", min=0)] = 3,
    family: Annotated[
        str, typer.Option(help="Also this family, with --run; but for reenact-warp on people whom that knows.")
    ] = "",
    run: Annotated[
        Path | None,
        typer.Option(
            help="Run of assay forge train-reenactor; for reenact-latent of assay forge train.",
            show_default="the package's network",
        ),
    ] = None,
    sheets: Annotated[
        Path | None, typer.Option(help="Write contact sheets of every pair here, to look at.", show_default=False)
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Write docs/reenact.jpg here, and measure nothing.")] = None,
    save: Save = None,
) -> None:
    """Landmarks, pose, identity, flicker and untouched pixels of driven faces, beside frames left as they are."""
    if picture is not None:
        from benchmarks.reenact_picture import driven_picture

        picture.write_bytes(driven_picture())
        return
    from benchmarks.reenact import Measuring, actor_clips, groups_of, measurements, person_in, portrait_pairs

    root = media or (Path(os.environ["ASSAY_MEDIA"]) / "media" if "ASSAY_MEDIA" in os.environ else None)
    trained = _trained(family, run)
    families: list[FamilyName] = ["reenact-affine"]
    if trained:
        families.append(trained.family)
    settings = {"frames": frames, "actors": actors, "real media": root is not None, "family": ", ".join(families)}
    settings |= {"steps": trained.steps, "people": len(trained.people)} if trained else {}
    measuring = Measuring(frames, sheets, trained=trained)
    made: list[Measurement] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        filmed = actor_clips(Path(scratch), count=actors, frames=frames) if actors else []
        sources = {"portraits": portrait_pairs(root / "video_portrait") if root else []}
        sources["actors"] = [(one, filmed[(place + 1) % len(filmed)]) for place, one in enumerate(filmed)]
        for what, pairs in sources.items():
            known = [pair for pair in pairs if trained is None or trained.drives(*map(person_in, pair))]
            for group, regions in groups_of(families).items() if known else ():
                for one in families:
                    values, left_out = measuring.pairs(known, regions, one)
                    by = f", {one}" if trained else ""
                    made += measurements(f"{what}, {group}{by}", values)
                    notes += [f"{group}{by}: left out {line}" for line in left_out]
                    # Saved after each group, so that a run that is stopped keeps what it has.
                    named = family or "reenact"
                    show(new_result(named, command_line(), made, settings=settings, notes=tuple(notes)), save)


def _trained(family: str, run: Path | None) -> Trained | None:
    """What is in ``run``; None where nothing is asked for.

    Raises:
        UsageError: family and run do not belong together.
    """
    from benchmarks.reenact import Trained
    from forge.reenacting.networks.shipped import shipped_network
    from shared.errors import UsageError

    if run is None and not family:
        return None
    run = run or shipped_network(family)
    if run is None or not family:
        raise UsageError("a family with a network is measured with its run", hint="give both --family and --run")
    return Trained.read(run, cast("FamilyName", family))


@app.command()
def motion(
    out: Annotated[Path, typer.Option(help="The set of driven mouths; built where it is not there.")],
    media: Annotated[Path | None, typer.Option(help="Folder of real clips.", show_default="$ASSAY_MEDIA/media")] = None,
    actors: Annotated[int, typer.Option(help="Procedural actors beside the speakers of GRID.", min=0)] = 6,
    frames: Annotated[int, typer.Option(help="Frames of each clip.", min=25)] = 75,
    corrections: Annotated[int, typer.Option(help="Rounds of correction of a drive.", min=0, max=4)] = 1,
    steps: Annotated[int, typer.Option(help="Steps of each training.", min=20)] = 300,
    seeds: Annotated[int, typer.Option(help="Trainings.", min=1)] = 3,
    save: Save = None,
) -> None:
    """The detector of motion on driven mouths of new people, and on lip-sync and re-enactment by others."""
    from benchmarks.motion import make_set, measure

    root = _media(media)
    dataset = make_set(root, out, actors=actors, frames=frames, corrections=corrections)
    runs = out.with_name(f"{out.name}-runs")
    made, notes = measure(dataset, runs, frames=frames, steps=steps, seeds=seeds, outside=root / "outside")
    settings = {"actors": actors, "frames": frames, "corrections": corrections, "steps": steps, "seeds": seeds}
    show(new_result("motion", command_line(), made, settings=settings, notes=tuple(notes)), save)


@app.command()
def lipsync(
    work: Annotated[Path, typer.Option(help="Folder of speech, landmarks, runs and clips; kept, to go on from.")],
    media: Annotated[Path | None, typer.Option(help="Folder of real clips.", show_default="$ASSAY_MEDIA/media")] = None,
    sentences: Annotated[int, typer.Option(help="Sentences of each voice.", min=1)] = 12,
    phone_steps: Annotated[int, typer.Option(help="Steps on phones alone.", min=1)] = 800,
    clip_steps: Annotated[int, typer.Option(help="Steps with clips.", min=1)] = 150,
    frames: Annotated[int, typer.Option(help="Frames of each driven clip.", min=75)] = 100,
    actors: Annotated[int, typer.Option(help="Procedural actors that are driven.", min=0)] = 2,
    corrections: Annotated[int, typer.Option(help="Rounds of correction of a drive.", min=0, max=4)] = 1,
    ship: Annotated[bool, typer.Option(help="Write the model into the package.")] = False,
    save: Save = None,
) -> None:
    """The lip-sync model: made, measured on speakers left out beside smoothed energy, and driven clips in step."""
    from benchmarks.lipsync import OTHERS, PORTRAITS, Plan, gathered, held_out, model_with, others, phones_model
    from benchmarks.lipsync import ship as write_model
    from benchmarks.lipsync_measure import driven, driven_measurements, drives, heard_measurements, targets
    from shared.faces.finders.finder import make_finder

    root, finder, plan = _media(media), make_finder("dlib", device="cpu"), Plan(sentences, phone_steps, clip_steps)
    given = gathered(root, work, plan, finder)
    phones = phones_model(given, work, plan)
    made = heard_measurements(list(held_out(given, phones, work, plan)), phones, "speakers of GRID")
    whole = model_with(given, phones, work / "whole", plan)
    found, notes = others(root, work / "faces", finder)
    made += heard_measurements([(clip, whole) for clip in found], phones, "clips of others") if found else []
    settings = {
        "sentences": sentences, "phone_steps": phone_steps, "clip_steps": clip_steps, "frames": frames,
        "actors": actors, "corrections": corrections, "parameters": whole.network.parameters_count,
        "clips of others": list(OTHERS), "portraits": list(PORTRAITS),
    }  # fmt: skip
    numbers = {one.name: round(one.median, 3) for one in made}
    folder = write_model(whole, numbers) if ship else work / "whole"
    clips = targets(root, PORTRAITS, work / "targets", actors=actors, frames=frames)
    rows, more = driven(
        clips, drives(work / "drives"), folder, work / "driven", finder, frames=frames, corrections=corrections
    )
    made += driven_measurements(rows) if rows else []
    notes += [*more, *(f"{row.name}: strength {row.own.strength:.2f} at {row.own.lag:+.2f} s" for row in rows)]
    show(new_result("lipsync", command_line(), made, settings=settings, notes=tuple(notes)), save)


@app.command("warp-model")
def warp_model(
    media: Annotated[
        Path | None, typer.Argument(help="Folder of real clips, with video_grid; actors alone without it.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder for actors, facesets and run; what is there is kept.")] = Path(
        "runs/warp-model"
    ),
    steps: Annotated[int | None, typer.Option(help="Training steps.", min=1)] = None,
    minutes: Annotated[float | None, typer.Option(help="Training time, by the clock, in place of steps.")] = None,
    actors: Annotated[int, typer.Option(help="Procedural actors.", min=1)] = 24,
    device: Annotated[str, typer.Option(help="Device of the training.")] = "auto",
    ship: Annotated[bool, typer.Option(help="Write the network into the package.")] = False,
    save: Save = None,
) -> None:
    """Makes the network of reenact-warp that comes with the package."""
    import time

    from benchmarks.warp_model import make_warp, warp_config
    from benchmarks.warp_model import ship as write_network
    from forge.reenacting.networks.checkpoint import load_reenactor

    before = time.process_time()
    run = make_warp(media, work, warp_config(steps=steps, minutes=minutes, device=device), actors=actors)
    cost = time.process_time() - before
    card = load_reenactor(run).card
    if ship:
        write_network(run)
    made = [
        Measurement.of("training", "steps", [float(card.steps)]),
        Measurement.of("training", "minutes", [card.seconds / 60], better="lower"),
        Measurement.of("CPU time of this call", "minutes", [cost / 60], better="lower"),
    ]
    settings = {"pictures": card.pictures, "clips": card.clips, "actors": actors, "real media": media is not None}
    show(new_result("warp-model", command_line(), made, settings=settings), save)


def _media(media: Path | None) -> Path:
    """The folder of real clips.

    Raises:
        UsageError: none is named.
    """
    from shared.errors import UsageError

    root = media or (Path(os.environ["ASSAY_MEDIA"]) / "media" if "ASSAY_MEDIA" in os.environ else None)
    if root is None:
        raise UsageError("no folder of real clips is named", hint="give --media, or set ASSAY_MEDIA")
    return root
