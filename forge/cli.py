"""``assay forge``: train swappers, make fakes, measure them. Torch is imported inside the commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from forge.config import TrainConfig
from forge.swap_config import BlendMethod, ColorMethod, MaskChoice, SwapConfig
from shared.config import from_mapping, load_toml
from shared.console import console
from shared.errors import UsageError

if TYPE_CHECKING:
    from forge.gauges import Person
    from forge.measures import Spread
    from forge.quality import SwapQuality
    from shared.faces.identity import IdentityEmbedder

app = typer.Typer(help="Train swappers, make labelled fakes, measure them.", no_args_is_help=True)

_TRAIN = TrainConfig()
_SWAP = SwapConfig()

_Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", show_default="auto")]
_Seed = Annotated[int | None, typer.Option(help="Start of every random draw.", show_default="0")]
_Settings = Annotated[
    Path | None, typer.Option("--config", help="TOML file with any setting; flags overrule it.", show_default=False)
]


def _default(value: object) -> str:
    return str(value)


def _choices(kind: object) -> str:
    return ", ".join(get_args(kind))


@app.command()
def train(
    facesets: Annotated[list[Path], typer.Argument(help="One faceset a person, two or more.", show_default=False)],
    run: Annotated[Path, typer.Option(help="Run folder. One that holds this run is gone on with.")],
    model: Annotated[
        str | None, typer.Option(help="Family, see assay forge models.", show_default=_default(_TRAIN.model))
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="Multiplier of all channels.", show_default=_default(_TRAIN.width))
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How long.", show_default=_default(_TRAIN.steps))] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this long.", show_default="no limit")] = None,
    batch: Annotated[
        int | None, typer.Option(help="Faces of each person in a step.", show_default=_default(_TRAIN.batch))
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate.", show_default=_default(_TRAIN.learning_rate))
    ] = None,
    holdout: Annotated[
        float | None,
        typer.Option(help="Last fraction of every clip to measure on, not to learn from.", show_default="0"),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="name=value of the family's own; repeatable.", show_default=False)
    ] = None,
    device: _Device = None,
    seed: _Seed = None,
    config: _Settings = None,
) -> None:
    """Trains one swapper for all the people given. Ctrl-C saves; the same command goes on.

    Look at RUN/previews while it learns.

    Example: assay forge train faces/ann faces/bob --model lightweight --run runs/ann-bob
    """
    flags = {
        "model": model,
        "width": width,
        "steps": steps,
        "minutes": minutes,
        "batch": batch,
        "learning_rate": lr,
        "holdout": holdout,
        "model_options": _options(option) if option else None,
        "device": device,
        "seed": seed,
    }
    settings = _resolve(TrainConfig, config, flags)
    from forge.train import train_swapper

    result = train_swapper(facesets, run, settings)
    console.print(f"{result.steps} steps in {result.seconds / 60:.1f} min, loss {result.loss:.4f}")
    console.print(f"previews: {run / 'previews'}\nswapper:  {result.swapper}")
    console.result(dataclasses.asdict(result))


@app.command()
def swap(
    target: Annotated[Path, typer.Argument(help="The video that receives the face.", show_default=False)],
    run: Annotated[Path, typer.Option(help="Run folder, or an exported swapper.")],
    source: Annotated[str, typer.Option(help="Whose face is given.")],
    out: Annotated[Path, typer.Option(help="Dataset that the fake is listed in; made where there is none.")],
    target_identity: Annotated[
        str | None,
        typer.Option(
            "--target-identity", "--identity", help="Whose video it is.", show_default="by record, or the other of two"
        ),
    ] = None,
    rights: Annotated[
        str | None, typer.Option(help="On what basis the video may be used.", show_default="by record or faceset")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the clip.", show_default="TARGET+SOURCE")] = None,
    face: Annotated[
        str | None, typer.Option(help="main, all, or a number by size.", show_default=_default(_SWAP.face))
    ] = None,
    color: Annotated[
        str | None, typer.Option(help=f"One of {_choices(ColorMethod)}.", show_default=_SWAP.color)
    ] = None,
    sharpen: Annotated[
        float | None, typer.Option(help="Add detail (unsharp), 0 to 4.", show_default=_default(_SWAP.sharpen))
    ] = None,
    mask: Annotated[str | None, typer.Option(help=f"One of {_choices(MaskChoice)}.", show_default=_SWAP.mask)] = None,
    blend: Annotated[
        str | None, typer.Option(help=f"One of {_choices(BlendMethod)}.", show_default=_SWAP.blend)
    ] = None,
    erode: Annotated[
        float | None, typer.Option(help="Shrink the mask, fraction of the crop.", show_default=_default(_SWAP.erode))
    ] = None,
    feather: Annotated[
        float | None, typer.Option(help="Soften the mask's edge, fraction.", show_default=_default(_SWAP.feather))
    ] = None,
    finder: Annotated[str | None, typer.Option(help="Face finder.", show_default=_SWAP.finder)] = None,
    crf: Annotated[
        int | None, typer.Option(help="H.264 quality, lower is better.", show_default=_default(_SWAP.crf))
    ] = None,
    device: _Device = None,
    seed: _Seed = None,
    config: _Settings = None,
) -> None:
    """Makes one fake: clip, three masks, labels and record in a dataset, signed; frame times and sound kept.

    Example: assay forge swap bob.mp4 --run runs/ann-bob --source ann --out swapped/
    """
    flags = {
        "face": face,
        "color": color,
        "sharpen": sharpen,
        "mask": mask,
        "blend": blend,
        "erode": erode,
        "feather": feather,
        "finder": finder,
        "crf": crf,
        "device": device,
        "seed": seed,
    }
    settings = _resolve(SwapConfig, config, flags)
    from forge.listing import PREVIEWS
    from forge.pipeline import swap_clip

    record = swap_clip(
        target,
        swapper=run,
        source=source,
        dataset=out,
        config=settings,
        target_identity=target_identity,
        rights=rights,
        name=name,
    )
    faked = sum(stop - start for start, stop in record.faked)
    console.print(f"{record.id}: {faked} of {record.frames} frames hold {source}'s face")
    console.print(f"clip:    {out / record.path}")
    console.print(f"picture: {out / PREVIEWS / str(record.id.manipulation) / f'{record.id.name}.jpg'}")
    console.result({"id": str(record.id), "path": out / record.path, "sha256": record.sha256, "faked": record.faked})


@app.command()
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


@app.command()
def models() -> None:
    """Lists the families of swappers, with their sizes at width 1 for two people.

    Example: assay forge models
    """
    import torch

    from forge.models import build_swapper
    from forge.registry import swappers

    rows: list[dict[str, Any]] = []
    for name in swappers.names():
        with torch.device("meta"):
            swapper = build_swapper(name, ["a", "b"])
        spec = swapper.spec
        rows.append(
            {
                "name": name,
                "input_px": spec.input_px,
                "output_px": spec.output_px,
                "framing": spec.framing,
                "mask": spec.has_mask,
                "parameters": sum(parameter.numel() for parameter in swapper.parameters()),
            }
        )
    shown = ([*list(row.values())[:-1], f"{row['parameters'] / 1e6:.1f} M"] for row in rows)
    console.table("swappers", ["name", "input px", "output px", "framing", "mask", "parameters"], shown)
    console.result({"models": rows})


def _resolve(kind: type[Any], file: Path | None, flags: Mapping[str, object]) -> Any:
    """Defaults, under the file's settings, under the flags that were given."""
    given = {name: value for name, value in flags.items() if value is not None}
    return load_toml(kind, file, overrides=given) if file is not None else from_mapping(kind, given, where="flags")


def _options(pairs: list[str]) -> dict[str, str | int | float | bool]:
    options: dict[str, str | int | float | bool] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not (name and separator):
            raise UsageError(f"an option reads name=value, got {pair!r}", hint="for example --option mask=false")
        options[name] = _typed(value)
    return options


def _typed(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


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
