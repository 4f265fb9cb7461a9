"""``python -m benchmarks NAME``: measures, shows a table, and with ``--save`` writes the result as JSON."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.schema import RESULTS, Measurement, Result, new_result
from shared.console import console
from shared.errors import AssayError, UsageError

SETTINGS = Path(__file__).parent / "settings"

app = typer.Typer(
    name="benchmarks",
    help="Measures both halves. The method is in benchmarks/README.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Save = Annotated[Path | None, typer.Option(help="Write the result here; '-' for benchmarks/results/NAME.json.")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Repeats = Annotated[int, typer.Option(help="How often each thing is measured.", min=1)]


def show(result: Result, save: Path | None) -> None:
    """The measurements as a table, and as a file where one was asked for."""
    rows = [
        (m.name, f"{m.median:.4g}", f"{m.low:.4g} to {m.high:.4g}", m.unit, len(m.values), _target(m), m.note)
        for m in result.measurements
    ]
    console.table(result.benchmark, ["what", "median", "quartiles", "unit", "n", "target", "note"], rows)
    if result.peak_memory_mb is not None:
        console.print(f"peak memory of this process: {result.peak_memory_mb:.0f} MB")
    if save is not None:
        path = RESULTS / f"{result.benchmark}.json" if str(save) == "-" else save
        console.print(f"written to {result.save(path)}")


def _target(measurement: Measurement) -> str:
    if measurement.target is None:
        return ""
    sign = ">=" if measurement.better == "higher" else "<="
    return f"{sign} {measurement.target:g}: {'met' if measurement.met else 'MISSED'}"


@app.command()
def throughput(
    clip: Annotated[
        Path | None, typer.Option(help="Clip to measure on; without it a procedural actor is filmed.")
    ] = None,
    device: DeviceName = "auto",
    repeats: Repeats = 5,
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    save: Save = None,
) -> None:
    """Decode, find, align, train, swap and score: each stage alone, and the pipelines end to end."""
    from benchmarks.throughput import measure

    found, settings = measure(clip, device=device, repeats=repeats, finder=finder)
    show(new_result("throughput", _command(), found, settings=settings, device=_device(device)), save)


@app.command()
def roofline(device: DeviceName = "auto", repeats: Repeats = 5, save: Save = None) -> None:
    """Training speed of the swappers beside the measured matrix rate of the device."""
    from benchmarks.roofline import measure

    found = measure(device, repeats=repeats)
    name = "roofline-cpu" if _kind(device) == "cpu" else "roofline-gpu"
    show(new_result(name, _command(), found, device=_device(device)), save)


@app.command()
def actors(
    count: Annotated[int, typer.Option(help="How many actors.", min=2)] = 24,
    save: Save = None,
) -> None:
    """Whether real models find procedural actors and tell them apart."""
    from benchmarks.actors import drawing_rate, observe
    from shared.actors import cast

    seen = observe(cast(count, 0))
    found = [
        Measurement.of("dlib HOG finds a face", "share of frames", [seen.detection_rate], target=0.95),
        Measurement.of("dlib's landmarks from the exact ones", "of eye distance", list(seen.nme), better="lower"),
        Measurement.of("embedding distance, same actor", "distance", list(seen.same_distances), better="lower"),
        Measurement.of("embedding distance, different actors", "distance", list(seen.different_distances)),
        Measurement.of("different actors farther apart than one actor", "AUC", [seen.auc]),
        Measurement.of("drawing at 256 px", "frames/s", [drawing_rate() for _ in range(3)], target=4.0),
    ]
    settings = {"actors": count, "frames": seen.frames}
    show(new_result("actors", _command(), _without_values(found), settings=settings), save)


def _without_values(found: list[Measurement]) -> list[Measurement]:
    """Thousands of distances are told by their quartiles and their number."""
    return [
        m if len(m.values) < 100 else replace(m, values=(m.low, m.median, m.high), note=f"quartiles of {len(m.values)}")
        for m in found
    ]


@app.command("swap-quality")
def swap_quality(
    clips: Annotated[list[Path], typer.Argument(help="Two clips of two people.")],
    config: Annotated[Path, typer.Option(help="TOML of training settings.", show_default="pair-cpu.toml")] = SETTINGS
    / "pair-cpu.toml",
    minutes: Annotated[float | None, typer.Option(help="Training time instead of the settings' own.")] = None,
    sharpen: Annotated[float, typer.Option(help="Unsharp masking of the drawn face before it is pasted.")] = 0.0,
    work: Annotated[Path, typer.Option(help="Folder for facesets, run and swaps.")] = Path("runs/swap-quality"),
    device: DeviceName = "auto",
    save: Save = None,
) -> None:
    """Two people, both directions, measured on the last fifth of each clip, which is not trained on."""
    from benchmarks.swap_quality import measure
    from forge.config import TrainConfig
    from forge.swap_config import BlendConfig, SwapConfig
    from shared.config import load_toml

    trained = load_toml(TrainConfig, config, overrides={"minutes": minutes, "device": device})
    found, settings = measure(
        clips, config=trained, work=work, swap=SwapConfig(device=device, blend=BlendConfig(sharpen=sharpen))
    )
    show(new_result("swap-quality", _command(), found, settings=settings, device=_device(device)), save)


@app.command("build-kill")
def build_kill(
    moments: Annotated[int, typer.Option(help="How many builds are killed.", min=1)] = 50,
    seed: Annotated[int, typer.Option(help="Draws the moments.")] = 50,
    jobs: Annotated[int, typer.Option(help="Tasks of a build at a time.", min=1)] = 1,
    save: Save = None,
) -> None:
    """Builds killed at random moments and gone on with, compared with one that was never killed."""
    import tempfile

    from benchmarks.build_kill import kill_and_go_on

    with (
        tempfile.TemporaryDirectory() as folder,
        console.progress("killing builds", moments, unit="builds") as tick,
    ):
        seen = kill_and_go_on(Path(folder), moments=moments, seed=seed, jobs=jobs, tick=tick)
    found = [
        Measurement.of("killed while running", "builds", [float(seen.killed)], note=f"of {seen.moments} moments"),
        Measurement.of("ended otherwise", "builds", [float(seen.different)], target=0.0, better="lower"),
        Measurement.of("listed half-written", "builds", [float(seen.half_written)], target=0.0, better="lower"),
        Measurement.of("a build by itself", "s", [seen.build_seconds], better="lower"),
    ]
    show(new_result("build-kill", _command(), found, settings={"moments": moments, "seed": seed, "jobs": jobs}), save)


@app.command()
def swappers(
    minutes: Annotated[float, typer.Option(help="Training time of each family.")],
    faces: Annotated[
        list[Path] | None, typer.Option(help="Faceset of one of the two people; twice.", show_default=False)
    ] = None,
    clips: Annotated[
        list[Path] | None, typer.Option(help="Clip that a faceset was extracted from; twice.", show_default=False)
    ] = None,
    cast: Annotated[
        list[Path] | None, typer.Option(help="More facesets, for retrieval among them; repeatable.", show_default=False)
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this family; repeatable.", show_default="all")] = None,
    config: Annotated[Path, typer.Option(help="TOML of widths and sizes.", show_default="swappers.toml")] = SETTINGS
    / "swappers.toml",
    table: Annotated[Path | None, typer.Option(help="Page with markers for the table, docs/swappers.md.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a picture of all families on two actors, no table.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for runs and swaps; what is done there stays.")] = Path(
        "runs/swappers"
    ),
    device: DeviceName = "auto",
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    save: Annotated[
        Path | None, typer.Option("--save", "--out", help="Write the result here; '-' for results/swappers.json.")
    ] = None,
) -> None:
    """Every family of swappers on one pair for equal minutes: measured on the last fifth, or drawn on actors."""
    from benchmarks import swappers as bench
    from benchmarks.page import put_between
    from benchmarks.swappers_table import markdown
    from benchmarks.swappers_table import sheet as draw
    from shared.storage import write_bytes

    settings = bench.load_settings(config)
    if sheet is not None:
        if faces or clips:
            raise UsageError("a sheet is of actors", hint="leave --faces and --clips out, or --sheet")
        faces, clips = bench.film_pair(work / "actors")
    jobs = bench.make_jobs(
        faces or [], clips or [], settings, work=work, minutes=minutes, only=only or (), cast=cast or (),
        device=device, finder=finder, measured=sheet is None,
    )  # fmt: skip
    found, notes = bench.measure(jobs, say=console.print)
    if sheet is not None:
        write_bytes(sheet, draw([(job.family, Path(job.folder)) for job in jobs]))
        console.print(f"picture: {sheet}")
        return
    facts = {"minutes": minutes, "held_out": "the last fifth", "cast": len(jobs[0].cast), **settings}
    show(new_result("swappers", _command(), found, settings=facts, device=_device(device), notes=notes), save)
    if table is not None:
        console.print(f"table: {put_between(table, markdown(found, notes), name='swappers')}")


@app.command()
def many(
    run: Annotated[Path, typer.Option(help="Run folder of a swapper of many people, trained with a held-out fifth.")],
    faces: Annotated[list[Path], typer.Option(help="Faceset of a person; repeatable.")],
    clips: Annotated[list[Path], typer.Option(help="Clip that a faceset was extracted from; repeatable.")],
    frames: Annotated[int, typer.Option(help="Held-out frames of each clip, evenly spaced.", min=1)] = 8,
    picture: Annotated[Path | None, typer.Option(help="Write the matrix of directions here, as a picture.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for what is swapped.")] = Path("runs/many"),
    device: DeviceName = "auto",
    finder: Annotated[str, typer.Option(help="Face finder.")] = "auto",
    save: Save = None,
) -> None:
    """One swapper of many people: whom each swapped face is taken for, in every direction, on held-out frames."""
    from benchmarks.many import draw, measure

    total = len(faces) * (len(faces) - 1)
    with console.progress("swapping and measuring", total, unit="directions") as tick:
        found, settings, matrix = measure(
            run, faces, clips, frames=frames, work=work, device=device, finder=finder, tick=tick
        )
    if picture is not None:
        console.print(f"matrix: {draw(matrix, picture)}")
    show(new_result("many", _command(), found, settings=settings, device=_device(device)), save)


@app.command("first-run")
def first_run(
    clips: Annotated[list[Path], typer.Argument(help="Clips; the file name is the person. Neighbours are paired.")],
    rights: Annotated[str, typer.Option(help="On what basis the clips may be used.")],
    same: Annotated[list[str] | None, typer.Option(help="CLIP=PERSON for a second clip of somebody.")] = None,
    swap: Annotated[Path, typer.Option(help="TOML of the swapper's training.", show_default="many-cpu.toml")] = SETTINGS
    / "many-cpu.toml",
    detect_minutes: Annotated[float, typer.Option(help="Training time of the detector.")] = 5.0,
    work: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("runs/first-run"),
) -> None:
    """The whole loop on real people, through the public command line."""
    from benchmarks.first_run import first_run, make_plan

    aliases = dict(pair.split("=", 1) for pair in same or [])
    first_run(
        make_plan(clips, same=aliases),
        work,
        swap_settings=["--config", str(swap)],
        detect_settings=["--minutes", str(detect_minutes), "--frames", "24"],
        rights=rights,
    )


@app.command()
def crowd(
    photographs: Annotated[Path, typer.Argument(help="Folder of photographs, a person each.")],
    config: Annotated[Path, typer.Option(help="TOML of swappers.", show_default="crowd.toml")] = SETTINGS
    / "crowd.toml",
    work: Annotated[Path, typer.Option(help="Folder of facesets, swappers and twins.")] = Path("runs/crowd"),
) -> None:
    """Facesets of many people and their twins by several decoders: what the detectors below learn from."""
    from benchmarks.crowd import load_settings, prepare

    prepare(photographs, load_settings(config), work)


@app.command()
def detectors(
    dataset: Annotated[Path, typer.Argument(help="Set with train, val and test people and several manipulations.")],
    faces: Annotated[
        list[Path] | None, typer.Option(help="Faceset of real people to blend; repeatable.", show_default=False)
    ] = None,
    twins: Annotated[
        list[Path] | None, typer.Option(help="Those faces redrawn; repeatable.", show_default=False)
    ] = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="NAME=DETECTOR that is trained already; repeatable.", show_default=False)
    ] = None,
    other: Annotated[
        list[Path] | None, typer.Option(help="Another set to test on; repeatable.", show_default=False)
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this row; repeatable.", show_default="all")] = None,
    config: Annotated[
        Path, typer.Option(help="TOML of rows, folds and seeds.", show_default="detectors.toml")
    ] = SETTINGS / "detectors.toml",
    table: Annotated[Path | None, typer.Option(help="Page with markers for the table, docs/detectors.md.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Write the plot here.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for runs and scores; what is done there stays.")] = Path(
        "runs/detectors"
    ),
    save: Annotated[
        Path | None, typer.Option("--save", "--out", help="Write the result here; '-' for results/detectors.json.")
    ] = None,
) -> None:
    """What detectors learn from forgeries, self-blends and both, on manipulations that were left out of training."""
    from benchmarks.detectors_report import report

    result, text, plot = report(
        dataset, faces or [], twins or [], dict(_named(baseline or [])), other or [], only or [], config, work,
        command=_command(),
    )  # fmt: skip
    show(result, save)
    if table is not None:
        from benchmarks.page import put_between

        console.print(f"table: {put_between(table, text, name='detectors')}")
    if picture is not None:
        from shared.storage import write_bytes

        write_bytes(picture, plot)
        console.print(f"picture: {picture}")


def _named(texts: list[str]) -> list[tuple[str, str]]:
    for text in texts:
        if "=" not in text:
            raise UsageError(f"{text!r} is not NAME=DETECTOR", hint="for example meso4=runs/meso4")
    return [(text.partition("=")[0], text.partition("=")[2]) for text in texts]


@app.command()
def scale(
    clips: Annotated[int, typer.Option(help="How many lines the manifest has.", min=16)] = 100_000,
    save: Save = None,
) -> None:
    """Load, split, filter and verify the structure of a manifest without media."""
    from benchmarks.scale import measure

    show(new_result("scale", _command(), measure(clips), settings={"clips": clips}), save)


@app.command()
def tamper(
    sets: Annotated[int, typer.Option(help="How many sets, a tampering each.", min=1)] = 200,
    start: Annotated[int, typer.Option(help="Seed of the first set.", min=0)] = 0,
    save: Save = None,
) -> None:
    """Whether verify finds seven kinds of tampering, and accuses no set that is untouched."""
    from benchmarks.tamper import measurements, run

    with console.progress("sets", sets, unit="set") as tick:
        outcomes = run(sets, start=start, tick=tick)
    for outcome in outcomes:
        if outcome.accused or not outcome.found:
            console.warn(f"seed {outcome.seed}, {outcome.kind}: untouched {outcome.accused}, said {outcome.said[:3]}")
    show(new_result("tamper", _command(), measurements(outcomes), settings={"sets": sets, "start": start}), save)


def _command() -> str:
    """The command line as it can be typed again, with the folders of files left out."""
    words = [Path(word).name if "/" in word and not word.startswith("-") else word for word in sys.argv[1:]]
    return " ".join(["python -m benchmarks", *words])


def _device(name: str) -> str:
    from shared.device import pick_device

    return pick_device(name).describe()


def _kind(name: str) -> str:
    from shared.device import pick_device

    return pick_device(name).kind


def main() -> None:
    """Runs one benchmark; a failure is one sentence and a hint."""
    try:
        app(standalone_mode=True)
    except AssayError as error:
        console.fail(str(error), error.hint)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
