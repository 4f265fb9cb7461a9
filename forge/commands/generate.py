"""``assay forge train-generator`` and ``assay forge generate``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forge.commands.options import MarkOption
from forge.generating.config import FamilyName, GeneratorConfig, StillConfig, StillFormat, seeds_of
from shared.commands.completion import values
from shared.commands.options import (
    DeviceOption,
    SeedOption,
    SettingsOption,
    choices,
    default,
    given_only,
    resolve,
    typed_options,
)
from shared.console import console, counted
from shared.errors import UsageError

if TYPE_CHECKING:
    from forge.generating.stills import Stills

_USUAL, _STILL = GeneratorConfig(), StillConfig()


def train_generator(
    facesets: Annotated[
        list[Path], typer.Argument(help="Facesets of many people, or folders of them.", show_default=False)
    ],
    run: Annotated[Path, typer.Option(help="Run folder; an unfinished run in it continues.")],
    family: Annotated[
        str | None,
        typer.Option(
            help=f"One of {choices(FamilyName)}.", show_default=_USUAL.family, autocompletion=values(FamilyName)
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="How long.", show_default="by family")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this many minutes.", show_default="no limit")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Faces in a step.", show_default=default(_USUAL.batch))] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.", show_default=default(_USUAL.learning_rate))] = None,
    start_from: Annotated[
        str | None,
        typer.Option("--from", help="Swapper or run whose decoder generate-prior takes.", show_default="base"),
    ] = None,
    people: Annotated[
        str | None,
        typer.Option(help="One person a file, or one a faceset: file, faceset.", show_default=_USUAL.people),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the family, name=value; repeatable.", show_default=False)
    ] = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Trains a generator of new faces on photographs of many people. Ctrl-C saves; the same command continues.

    generate-prior takes the decoder of the base swapper and is ready after a pass over the faces; generate-gan and
    generate-flow are trained from nothing, for an hour or a night. RUN/previews/latest.png shows 32 faces.

    Example: assay forge train-generator faces/crowd --run runs/nobody

    Example: assay forge train-generator faces/crowd --family generate-gan --minutes 60 --run runs/nobody-gan
    """
    flags = given_only(
        {
            "family": family, "steps": steps, "minutes": minutes, "batch": batch, "learning_rate": lr,
            "start_from": start_from, "people": people, "options": typed_options(option) if option else None,
            "device": device, "seed": seed,
        }
    )  # fmt: skip
    settings = resolve(GeneratorConfig, config, flags)
    from forge.generating.train import train_generator as train
    from shared.faces.facesets.reader import facesets_in

    result = train(facesets_in(facesets), run, settings)
    console.print(f"{counted(result.steps, 'step')} in {result.seconds / 60:.1f} min")
    console.print(f"trained on {counted(result.faces, 'face')} of {counted(result.people, 'person', 'people')}")
    console.print(f"preview:   {result.run / 'previews' / 'latest.png'}\ngenerator: {result.weights}")
    console.result(dataclasses.asdict(result))


def generate(
    run: Annotated[Path, typer.Argument(help="Run of assay forge train-generator.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the faces; one of an earlier call is replaced.")],
    seeds: Annotated[
        str | None, typer.Option(help="Numbers and ranges: 0-63 or 3,8,10-12.", show_default=False)
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(help="Less is plainer and more alike, 1 is none.", show_default=default(_STILL.truncation)),
    ] = None,
    between: Annotated[
        tuple[int, int] | None, typer.Option(help="Two seeds to go from one to the other.", show_default=False)
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps between the two seeds.", min=1, max=10_000)] = 8,
    px: Annotated[
        int | None,
        typer.Option(help="Side of the pictures, 0 for the generator's own.", show_default=default(_STILL.px)),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--format", help=f"One of {choices(StillFormat)}.", show_default=_STILL.format,
                     autocompletion=values(StillFormat)),
    ] = None,
    quality: Annotated[int | None, typer.Option(help="Of JPEG.", show_default=default(_STILL.quality))] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write one picture of all faces, too.", show_default=False)
    ] = None,
    not_new: Annotated[
        str | None,
        typer.Option(
            help="What is done with faces too like a person of the training: refuse, write.",
            show_default=_STILL.not_new,
        ),
    ] = None,
    mark: MarkOption = True,
    device: DeviceOption = None,
    config: SettingsOption = None,
) -> None:  # fmt: skip
    """Makes new faces of nobody, one a seed: marked, signed as made by a model, each with its certificate.

    The certificate names the training's person who is most like the face. A face that is more like one than 99.9 % of
    pairs of different real people are is no new face, and is not written. OUT/stills.json is the signed list.

    Example: assay forge generate runs/nobody --seeds 0-63 --out faces/nobody --sheet sheet.png

    Example: assay forge generate runs/nobody --between 3 8 --steps 8 --out faces/between
    """
    flags = given_only(
        {"truncation": truncation, "px": px, "format": kind, "quality": quality, "not_new": not_new, "device": device}
    )
    settings = resolve(StillConfig, config, flags)
    if seeds is None and between is None:
        raise UsageError("no face is named", hint="name seeds, --seeds 0-63, or two of them, --between 3 8")
    from forge.generating.stills import generate_stills

    path = None if between is None else (*between, steps)
    listed = seeds_of(seeds) if seeds is not None else []
    stills = generate_stills(run, out, listed, settings, between=path, sheet=sheet, mark=mark)
    _tell(stills, out)


def _tell(stills: Stills, out: Path) -> None:
    console.print(f"{counted(len(stills.records), 'face')} in {out}")
    if stills.refused:
        what = "written all the same" if stills.written else "not written"
        console.print(f"{counted(len(stills.refused), 'face')} too like a person of the training, {what}")
        for name, found in list(stills.refused.items())[:5]:
            console.print(f"  {name}: {found.nearest}, {found.similarity:.3f}")
    console.result(
        {
            "out": out,
            "stills": [{"file": record.path, "sha256": record.sha256, **record.factors} for record in stills.records],
            "not_new": {name: dataclasses.asdict(found) for name, found in stills.refused.items()},
        }
    )
