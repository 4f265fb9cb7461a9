"""``assay forge swap``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forge.commands.options import DeviceOption, SeedOption, SettingsOption, choices, default, resolve
from forge.swap_config import BlendMethod, ColorMethod, MaskChoice, SwapConfig
from shared.console import console

_SWAP = SwapConfig()


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
        str | None, typer.Option(help="main, all, or a number by size.", show_default=default(_SWAP.face))
    ] = None,
    color: Annotated[str | None, typer.Option(help=f"One of {choices(ColorMethod)}.", show_default=_SWAP.color)] = None,
    sharpen: Annotated[
        float | None, typer.Option(help="Add detail (unsharp), 0 to 4.", show_default=default(_SWAP.sharpen))
    ] = None,
    mask: Annotated[str | None, typer.Option(help=f"One of {choices(MaskChoice)}.", show_default=_SWAP.mask)] = None,
    blend: Annotated[str | None, typer.Option(help=f"One of {choices(BlendMethod)}.", show_default=_SWAP.blend)] = None,
    erode: Annotated[
        float | None, typer.Option(help="Shrink the mask, fraction of the crop.", show_default=default(_SWAP.erode))
    ] = None,
    feather: Annotated[
        float | None, typer.Option(help="Soften the mask's edge, fraction.", show_default=default(_SWAP.feather))
    ] = None,
    finder: Annotated[str | None, typer.Option(help="Face finder.", show_default=_SWAP.finder)] = None,
    crf: Annotated[
        int | None, typer.Option(help="H.264 quality, lower is better.", show_default=default(_SWAP.crf))
    ] = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
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
    settings = resolve(SwapConfig, config, flags)
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
