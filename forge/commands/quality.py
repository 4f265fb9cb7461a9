"""``assay forge quality``."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from forge.swapping.config import SwapConfig
from shared.bootstrap import ClusterBy
from shared.commands.completion import devices, finders, values
from shared.console import console, counted
from shared.errors import UsageError

if TYPE_CHECKING:
    from forge.image_metrics import Spread
    from forge.quality.dataset import DatasetQuality
    from forge.quality.kept import KeptResults
    from forge.quality.measure import Instruments
    from forge.quality.metrics import Person
    from forge.quality.result import SwapQuality
    from shared.faces.identity import IdentityEmbedder

_SWAP = SwapConfig()
_SHOWN_CLIPS = 4


def quality(
    clips: Annotated[list[Path], typer.Argument(help="Fakes, or datasets with fakes.", show_default=False)],
    target: Annotated[
        list[Path] | None, typer.Option(help="Clip a fake was made from; repeatable.", show_default="by record")
    ] = None,
    faces: Annotated[
        list[Path] | None, typer.Option(help="Faceset of a person, for identity; repeatable.", show_default=False)
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Swapper, to measure self-reconstruction and check whether its loss used the identity embedder."
        ),
    ] = None,
    last: Annotated[
        float, typer.Option(help="Fraction of each clip to measure, from its end; 0.2 is the last fifth.")
    ] = 1.0,
    limit: Annotated[
        int | None, typer.Option(help="At most this many fakes, evenly spaced.", show_default="all")
    ] = None,
    clusters: Annotated[
        str,
        typer.Option(
            help="Unit of the bootstrap: target (clips of one filmed person) or group (linked people).",
            autocompletion=values(ClusterBy),
        ),
    ] = "target",
    out: Annotated[Path | None, typer.Option(help="JSON file for all results.", show_default=False)] = None,
    sheets: Annotated[Path | None, typer.Option(help="Folder for a picture of each fake.", show_default=False)] = None,
    finder: Annotated[str, typer.Option(help="Face finder.", autocompletion=finders)] = _SWAP.finder,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", autocompletion=devices)] = _SWAP.device,
) -> None:
    """Compares fakes with the clips they were made from: metrics with level, n and interval.

    Example: assay forge quality swapped/ --run runs/ann-bob --faces faces/ann --faces faces/bob --out quality.json

    Identity is measured if the facesets of both people are given; retrieval searches all facesets. A clip without a
    record counts as a swap from the first --faces to the second.

    Stopped or killed, the same command goes on if it has an --out; what is measured is kept in OUT.partial until then.
    """
    if clusters not in get_args(ClusterBy):
        raise UsageError(f"no clusters are called {clusters!r}", hint=f"one of {', '.join(get_args(ClusterBy))}")
    from forge.models.checkpoint import swapper_digest
    from forge.quality.dataset import find_cases, measure_dataset, thinned
    from forge.quality.kept import KeptResults, measured_by
    from forge.quality.result import Failure

    failures: list[Failure] = []
    cases = thinned(find_cases(clips, target or (), failures=failures), limit)
    instruments, people = _instruments(faces or [], run, finder, device)
    by: ClusterBy = "group" if clusters == "group" else "target"
    kept = None
    if out is not None:
        swapper = None if run is None else swapper_digest(run)
        kept = KeptResults(out, measured_by(instruments, people, last=last, swapper=swapper))
    measure = functools.partial(
        measure_dataset,
        cases,
        instruments,
        people,
        last=last,
        cluster_by=by,
        failures=failures,
        sheets=sheets,
        kept=kept,
    )
    found = _measured(measure, len(cases), kept)
    _show(found)
    document = found.document()
    if out is not None:
        from shared.storage import write_bytes

        write_bytes(out, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")
        console.print(f"written to {out}")
    if kept is not None:
        kept.remove()
    console.result(document)


def _measured(measure: Callable[..., DatasetQuality], fakes: int, kept: KeptResults | None) -> DatasetQuality:
    """What ``measure`` returns, with a bar; an interrupt shows and keeps what it has."""
    partial: list[DatasetQuality] = []
    try:
        with console.progress("measuring", fakes, unit="clip") as tick:
            found = measure(tick=tick, stopped=partial.append)
    except KeyboardInterrupt:
        for one in partial:
            _show_partial(one, kept)
        raise
    if kept is not None and kept.reused:
        console.print(f"{counted(kept.reused, 'fake')} of {fakes} had been measured before this call")
    return found


def _instruments(
    facesets: list[Path], run: Path | None, finder: str, device: str
) -> tuple[Instruments, dict[str, Person]]:
    from forge.models.predictor import SwapPredictor
    from forge.quality.features import load_features, load_lpips
    from forge.quality.leakage import embedder_in_loss
    from forge.quality.measure import Instruments
    from shared.device import pick_device
    from shared.faces.finders.finder import make_finder

    picked = pick_device(device)
    place = str(picked.torch_device)
    embedder, people = _people(facesets, place)
    pair = tuple(people.values())
    features = load_features(place)
    if features is None:
        console.warn("no distances of features: pip install 'assay[pretrained]'")
    instruments = Instruments(
        make_finder(finder, device=place),
        embedder=embedder,
        people=(pair[0], pair[1]) if len(pair) == 2 else None,
        embedder_in_loss=embedder_in_loss(run, embedder.name) if run is not None and embedder is not None else None,
        predictor=SwapPredictor.load(run, picked) if run is not None else None,
        features=features,
        lpips=load_lpips(place),
    )
    return instruments, people


def _people(facesets: list[Path], device: str) -> tuple[IdentityEmbedder | None, dict[str, Person]]:
    if not facesets:
        return None, {}
    from forge.quality.measure import person_from
    from shared.faces.identity import make_embedder

    embedder = make_embedder(device=device)
    if embedder is None:
        raise UsageError("identity cannot be measured here", hint="pip install 'assay[dlib]', or leave --faces out")
    people = [person_from(faceset, embedder) for faceset in facesets]
    return embedder, {person.name: person for person in people}


def _show(found: DatasetQuality) -> None:
    from forge.quality.result import UNITS

    if len(found.measured) <= _SHOWN_CLIPS:
        for _case, result in found.measured:
            _show_clip(result)
    rows = []
    for one in found.summary:
        bounds = "one cluster" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"
        rows.append(
            (one.metric, f"{one.value:.3f}", bounds, UNITS.get(one.metric, ""), counted(one.num_fake, one.level))
        )
    clusters = max((one.clusters for one in found.summary), default=0)
    title = f"{counted(len(found.measured), 'fake')} in {counted(clusters, 'cluster')}: means and 95 % intervals"
    console.table(title, ["measure", "mean", "interval", "unit", "n"], rows)
    for failure in found.failures:
        console.warn(f"{failure.clip}: {failure.reason}")
    for note in found.notes:
        console.print(note)


def _show_partial(found: DatasetQuality, kept: KeptResults | None) -> None:
    _show(found)
    if kept is None:
        console.print("nothing of this is kept without --out FILE; with it, the same command would go on from here")
    else:
        console.print(f"partial results: {kept.summarise(found.document())}")


def _show_clip(result: SwapQuality) -> None:
    from forge.quality.result import CLIP_MEASURES, SPREADS

    title = f"{result.clip}: frames {result.start} to {result.stop}, {result.frames_found} found again"
    measured: list[tuple[str, Spread]] = [
        (name, spread) for name in SPREADS if (spread := getattr(result, name)) is not None
    ]
    rows = [(name, f"{x.median:.3f}", f"{x.low:.3f} to {x.high:.3f}", str(x.n)) for name, x in measured]
    singles = ((each.name, getattr(result, each.name)) for each in CLIP_MEASURES)
    rows += [(name, f"{value:.3f}", "", "1 clip") for name, value in singles if value is not None]
    console.table(title, ["measure", "median", "middle half", "frames"], rows)
    if result.nearer_to_source is not None and result.top1 is not None:
        nearer, first = 100 * result.nearer_to_source, 100 * result.top1
        console.print(
            f"nearer to the source person in {nearer:.1f} % of frames, first of {result.cast} in {first:.1f} %"
        )
    same = {"frames": result.same_frames, "times": result.same_times, "sound": result.same_sound}
    console.print(", ".join(f"{what} {'as' if holds else 'NOT as'} the target's" for what, holds in same.items()))
