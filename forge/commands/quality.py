"""``assay forge quality``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forge.swap_config import SwapConfig
from shared.console import console
from shared.errors import UsageError

if TYPE_CHECKING:
    from forge.gauges import Person
    from forge.measures import Spread
    from forge.quality import SwapQuality
    from shared.faces.identity import IdentityEmbedder

_SWAP = SwapConfig()


def quality(
    clips: Annotated[list[Path], typer.Argument(help="Fakes, or datasets with fakes.", show_default=False)],
    target: Annotated[
        list[Path] | None, typer.Option(help="Clip a fake was made from; repeatable.", show_default="by record")
    ] = None,
    faces: Annotated[
        list[Path] | None, typer.Option(help="Faceset of a person, for identity; repeatable.", show_default=False)
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="The swapper, to measure self-reconstruction.", show_default=False)
    ] = None,
    last: Annotated[float, typer.Option(help="Measure this last fraction of each clip; 0.2 is the last fifth.")] = 1.0,
    finder: Annotated[str, typer.Option(help="Face finder.")] = _SWAP.finder,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = _SWAP.device,
) -> None:
    """Measures fakes against the clips they were made from: medians, quartiles, and how many frames they rest on.

    Example: assay forge quality swapped/ --target bob.mp4 --run runs/ann-bob --faces faces/ann --faces faces/bob

    A clip without a record is taken to wear the face of the first --faces in place of that of the second.
    """
    from forge.quality import Instruments
    from forge.survey import find_cases, measure_cases
    from forge.swap import SwapPredictor
    from shared.device import pick_device
    from shared.faces.finder import make_finder

    cases = find_cases(clips, target or ())
    picked = pick_device(device)
    embedder, people = _people(faces or [], str(picked.torch_device))
    pair = tuple(people.values())
    instruments = Instruments(
        make_finder(finder, device=str(picked.torch_device)),
        embedder=embedder,
        people=(pair[0], pair[1]) if len(pair) == 2 else None,
        predictor=SwapPredictor.load(run, picked) if run is not None else None,
    )
    with console.progress("measuring", len(cases), unit="clips") as tick:
        results = list(measure_cases(cases, instruments, people, last=last, tick=tick))
    for result in results:
        _show(result)
    console.result({"quality": [dataclasses.asdict(result) for result in results]})


def _people(facesets: list[Path], device: str) -> tuple[IdentityEmbedder | None, dict[str, Person]]:
    if not facesets:
        return None, {}
    from forge.quality import person_from
    from shared.faces.identity import make_embedder

    embedder = make_embedder(device=device)
    if embedder is None:
        raise UsageError("identity cannot be measured here", hint="pip install 'assay[dlib]', or leave --faces out")
    people = [person_from(faceset, embedder) for faceset in facesets]
    return embedder, {person.name: person for person in people}


def _show(result: SwapQuality) -> None:
    from forge.quality import SPREADS

    title = f"{result.clip}: frames {result.start} to {result.stop}, {result.frames_found} found again"
    measured: list[tuple[str, Spread]] = [
        (name, spread) for name in SPREADS if (spread := getattr(result, name)) is not None
    ]
    rows = [(name, f"{x.median:.3f}", f"{x.low:.3f} to {x.high:.3f}", x.n) for name, x in measured]
    console.table(title, ["measure", "median", "middle half", "frames"], rows)
    if result.nearer_to_source is not None:
        console.print(f"nearer to the source person in {100 * result.nearer_to_source:.1f} % of frames")
    same = {"frames": result.same_frames, "times": result.same_times, "sound": result.same_sound}
    console.print(", ".join(f"{what} {'as' if holds else 'NOT as'} the target's" for what, holds in same.items()))
