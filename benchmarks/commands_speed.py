"""Commands that measure speed, and the realism of the procedural actors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.app import DeviceName, Repeats, Save, app, command_line, device_kind, device_text, show
from benchmarks.schema import Measurement, new_result


@app.command()
def throughput(
    clip: Annotated[Path | None, typer.Option(help="Clip to measure on; default a procedural actor.")] = None,
    device: DeviceName = "auto",
    repeats: Repeats = 5,
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    save: Save = None,
) -> None:
    """Decode, find, align, train, swap and score: each stage alone, and the pipelines end to end."""
    from benchmarks.throughput import measure

    found, settings = measure(clip, device=device, repeats=repeats, finder=finder)
    show(new_result("throughput", command_line(), found, settings=settings, device=device_text(device)), save)


@app.command()
def roofline(device: DeviceName = "auto", repeats: Repeats = 5, save: Save = None) -> None:
    """Training speed of the swappers beside the measured matrix rate of the device."""
    from benchmarks.roofline import measure

    found = measure(device, repeats=repeats)
    name = "roofline-cpu" if device_kind(device) == "cpu" else "roofline-gpu"
    show(new_result(name, command_line(), found, device=device_text(device)), save)


@app.command()
def peers(
    clips: Annotated[
        Path | None, typer.Option(help="Folder of videos to measure on.", show_default="two filmed actors")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of the filmed clips.", min=0.4)] = 4.0,
    steps: Annotated[int, typer.Option(help="Training steps in each repeat.", min=1)] = 4,
    network: Annotated[
        list[str] | None, typer.Option(help="Swapper of the swaps; repeatable.", show_default="original, lightweight")
    ] = None,
    preset: Annotated[str, typer.Option(help="Preset of x264 in Assay's swaps; the loops use medium.")] = "medium",
    repeats: Repeats = 3,
    save: Save = None,
) -> None:
    """Swapping, training and extracting beside plain loops as other tools write them, per CPU second and per second."""
    import tempfile

    from benchmarks.peers import NETWORKS, measure

    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        found, settings, notes = measure(
            Path(folder), clips=clips, seconds=seconds, steps=steps, networks=network or NETWORKS, repeats=repeats,
            preset=preset,
        )  # fmt: skip
    show(new_result("peers", command_line(), found, settings=settings, device=device_text("cpu"), notes=notes), save)


@app.command()
def scoring(
    clip: Annotated[
        list[Path] | None, typer.Option(help="Clip to measure on; repeatable.", show_default="three filmed actors")
    ] = None,
    backbone: Annotated[str, typer.Option(help="Network of the detector, by timm's name.")] = "tf_efficientnet_lite0",
    px: Annotated[int | None, typer.Option(help="Side of its crops.", show_default="the model's own")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="torch.compile the network.")] = False,
    precision: Annotated[str, typer.Option(help="auto, float32 or bf16.")] = "auto",
    batch: Annotated[int, typer.Option(help="Batch size where the network is measured alone.", min=1)] = 32,
    device: DeviceName = "auto",
    repeats: Repeats = 3,
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    save: Save = None,
) -> None:
    """Scoring clips end to end against its stages alone, and the network against the roofline.

    On a GPU: python -m benchmarks scoring --device cuda --backbone efficientnet_b4 --px 380 --compile --batch 256
    """
    import tempfile

    from benchmarks.scoring import ScoringConfig, film_clips, measure

    config = ScoringConfig(
        backbone=backbone, px=px, compile=compiled, device=device, precision=precision, finder=finder, batch=batch,
        repeats=repeats,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        found, settings, notes = measure(clip or film_clips(Path(folder)), config)
    name = "scoring" if device_kind(device) == "cpu" else "scoring-gpu"
    text = device_text(device)
    show(new_result(name, command_line(), found, settings=settings, device=text, notes=notes), save)


@app.command()
def augmentation(
    px: Annotated[int, typer.Option(help="Side of the crops.", min=64, max=1024)] = 192,
    crops: Annotated[int, typer.Option(help="Crops in each repeat.", min=1)] = 400,
    repeats: Repeats = 5,
    save: Save = None,
) -> None:
    """CPU time of augmenting a training crop: the defaults, all changes of sharpness, each of them alone."""
    from benchmarks.augmentation import measure

    found = measure(px=px, crops=crops, repeats=repeats)
    settings = {"px": px, "crops": crops}
    show(new_result("augmentation", command_line(), found, settings=settings, device=device_text("cpu")), save)


@app.command()
def isolation(
    clip: Annotated[Path | None, typer.Option(help="Clip to inspect.", show_default="ten seconds of an actor")] = None,
    backbone: Annotated[str, typer.Option(help="Network of the detector, by timm's name.")] = "tf_efficientnet_lite0",
    device: DeviceName = "auto",
    repeats: Repeats = 5,
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    save: Save = None,
) -> None:
    """Inspection with its file decoded in a process of its own, against all of it in one process."""
    import tempfile

    from benchmarks.isolation import measure
    from shared.actors import Actor, film

    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        path = clip or film(Actor.from_seed(0), Path(folder) / "actor.mp4", seconds=10.0, px=512, seed=0)
        found = measure(path, Path(folder), backbone=backbone, finder=finder, device=device, repeats=repeats)
    settings = {"clip": path.name, "backbone": backbone, "finder": finder}
    show(new_result("isolation", command_line(), found, settings=settings, device=device_text(device)), save)


@app.command()
def actors(
    count: Annotated[int, typer.Option(help="Number of actors.", min=2)] = 24,
    save: Save = None,
) -> None:
    """Whether real models find procedural actors and tell them apart."""
    from benchmarks.actors import observe, rendering_rate
    from shared.actors import cast

    seen = observe(cast(count, 0))
    found = [
        Measurement.of("dlib HOG finds a face", "share of frames", [seen.detection_rate], target=0.95),
        Measurement.of("dlib's landmarks from the exact ones", "of eye distance", list(seen.nme), better="lower"),
        Measurement.of("embedding distance, same actor", "distance", list(seen.same_distances), better="lower"),
        Measurement.of("embedding distance, different actors", "distance", list(seen.different_distances)),
        Measurement.of("different actors farther apart than one actor", "AUC", [seen.auc]),
        Measurement.of("drawing at 256 px", "frames/s", [rendering_rate() for _ in range(3)], target=4.0),
    ]
    settings = {"actors": count, "frames": seen.frames}
    show(new_result("actors", command_line(), _without_values(found), settings=settings), save)


def _without_values(found: list[Measurement]) -> list[Measurement]:
    """Measurements with many values reduced to quartiles and number."""
    return [
        m if len(m.values) < 100 else replace(m, values=(m.low, m.median, m.high), note=f"quartiles of {len(m.values)}")
        for m in found
    ]


@app.command()
def minute(
    detector: Annotated[Path, typer.Option(help="Run or folder of the detector, or assay: the one in the package.")] = (
        Path("assay")
    ),
    clip: Annotated[
        Path | None, typer.Option(help="Clip to measure on.", show_default="a filmed actor in 1080p")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of the filmed clip.", min=0.2)] = 60.0,
    scoring: Annotated[bool, typer.Option(help="Measure scoring alone.")] = True,
    inspection: Annotated[bool, typer.Option(help="Measure assay inspect: time, memory and its steps.")] = True,
    device: DeviceName = "auto",
    repeats: Repeats = 1,
    save: Save = None,
) -> None:
    """Scores and inspects a one-minute 1080p clip of a procedural actor: wall clock, processor time, memory."""
    import tempfile

    from benchmarks.minute import film_minute, inspect_once, measure, measure_inspection
    from detect.models.checkpoint import detector_folder
    from shared.errors import UsageError
    from shared.video.reader import probe

    if clip is not None:
        length = probe(clip).duration_seconds
        if length is None:
            raise UsageError(f"{clip} does not declare its length", hint="remux it, or leave --clip out")
        seconds = length
    detector_folder(detector)  # before anything is filmed
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        work = Path(folder)
        clip = clip or film_minute(work / "minute.mp4", seconds=seconds)
        found = measure(clip, detector, device=device, repeats=repeats, length=seconds) if scoring else []
        if inspection:
            runs = [inspect_once(clip, detector, work / f"case-{turn}", device=device) for turn in range(repeats)]
            found += measure_inspection(runs, length=seconds)
    settings = {"detector": detector.name, "seconds": seconds}
    show(new_result("minute", command_line(), found, settings=settings, device=device_text(device)), save)


@app.command()
def player(
    clip: Annotated[
        Path | None, typer.Option(help="Clip to step through.", show_default="a moving picture in 1080p")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of that clip.", min=10)] = 20.0,
    pause_ms: Annotated[float, typer.Option(help="Pause between two steps.", min=0)] = 100.0,
    save: Save = None,
) -> None:
    """Milliseconds until the local page has a frame ready: steps forwards and backwards, jumps."""
    import tempfile

    from benchmarks.player import measure, write_moving_clip

    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        path = clip or write_moving_clip(Path(folder) / "clip.mp4", seconds)
        found = measure(path, Path(folder) / "indices", pause_ms=pause_ms)
    settings = {"clip": "given" if clip else f"moving picture, {seconds:g} s", "pause_ms": pause_ms}
    show(new_result("player", command_line(), found, settings=settings), save)
