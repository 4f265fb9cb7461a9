"""``assay forge swap``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge.commands.options import (
    CodecOption,
    CrfOption,
    GifOption,
    MarkOption,
    NoticeOption,
    RangeOption,
    RightsOption,
    pastes_offered,
)
from forge.swapping.config import BlendMethod, ColorMethod, SwapConfig
from forge.swapping.pastes import with_paste
from shared.commands.completion import finders, values
from shared.commands.options import DeviceOption, SeedOption, SettingsOption, choices, default, nested, resolve
from shared.console import console, counted
from shared.errors import MediaError, UsageError
from shared.faces.pastes.config import MaskChoice
from shared.types import ClipRecord

if TYPE_CHECKING:
    from shared.video.excerpt import ClipRange

_SWAP = SwapConfig()

TargetsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="TARGET...", help="Videos, or one folder of pictures, that receive the face.", show_default=False
    ),
]
PreviewOption = Annotated[
    int | None,
    typer.Option(
        "--preview", help="Write this many frames beside their targets to the picture OUT.", show_default=False
    ),
]
IdentityOption = Annotated[
    str | None,
    typer.Option(
        "--target-identity", "--identity", help="Person in the video.", show_default="by record, or the other of two"
    ),
]
PatchesOption = Annotated[
    Path | None, typer.Option(help="Folder for swapped crops and their matrices.", show_default=False)
]
ErodeOption = Annotated[
    float | None,
    typer.Option(help="Shrink the mask, fraction of the crop.", show_default=default(_SWAP.mask.erode)),
]
ColorOption = Annotated[
    str | None,
    typer.Option(
        help=f"One of {choices(ColorMethod)}.", show_default=_SWAP.color.method, autocompletion=values(ColorMethod)
    ),
]
SharpenOption = Annotated[
    float | None, typer.Option(help="Add detail, 0 to 4.", show_default=default(_SWAP.blend.sharpen))
]
MaskOption = Annotated[
    str | None,
    typer.Option(
        help=f"One of {choices(MaskChoice)}.", show_default=_SWAP.mask.kind, autocompletion=values(MaskChoice)
    ),
]
BlendOption = Annotated[
    str | None,
    typer.Option(
        help=f"One of {choices(BlendMethod)}.", show_default=_SWAP.blend.method, autocompletion=values(BlendMethod)
    ),
]
EnlargeOption = Annotated[
    str | None,
    typer.Option(
        help="Enlarge the face first: none, lanczos, or the restorer in the package, which draws detail.",
        show_default=_SWAP.blend.enlarge,
    ),
]
PasteOption = Annotated[
    str | None,
    typer.Option(
        help="Paste as a public tool does; other options override it. See assay forge pastes.",
        show_default=False,
        autocompletion=pastes_offered,
    ),
]
FaceOption = Annotated[
    str | None, typer.Option(help="Person: main, all, or numbers by area.", show_default=default(_SWAP.face))
]
FeatherOption = Annotated[
    float | None, typer.Option(help="Soften the mask's edge, fraction.", show_default=default(_SWAP.mask.feather))
]
MorphOption = Annotated[
    float | None, typer.Option(help="1 source, 0 target, between a mixture.", show_default=default(_SWAP.morph))
]
AudioOption = Annotated[bool, typer.Option(help="Keep the sound; leave it out if no container holds it.")]
SequenceOption = Annotated[bool, typer.Option(help="Treat the pictures of a folder as frames of one video.")]
MarkSoundOption = Annotated[
    bool, typer.Option("--mark-sound", help="Mark the sound of one video file too, which encodes it anew.")
]


def swap(
    targets: TargetsArgument,
    run: Annotated[Path, typer.Option(help="Run folder, or an exported swapper.")],
    source: Annotated[str, typer.Option(help="Whose face is given.")],
    out: Annotated[Path, typer.Option(help="Dataset for the fakes, made if missing, or one video file.")],
    stretch: RangeOption = None,
    preview: PreviewOption = None,
    target_identity: IdentityOption = None,
    rights: RightsOption = None,
    name: Annotated[str | None, typer.Option(help="Name of the clip.", show_default="TARGET+SOURCE")] = None,
    frames: Annotated[bool, typer.Option(help="Make OUT a folder of PNG pictures instead of a dataset.")] = False,
    sequence: SequenceOption = False,
    patches: PatchesOption = None,
    audio: AudioOption = True,
    mark: MarkOption = True,
    mark_sound: MarkSoundOption = False,
    notice: NoticeOption = False,
    gif: GifOption = None,
    face: FaceOption = None,
    color: ColorOption = None,
    sharpen: SharpenOption = None,
    enlarge: EnlargeOption = None,
    mask: MaskOption = None,
    blend: BlendOption = None,
    paste: PasteOption = None,
    erode: ErodeOption = None,
    feather: FeatherOption = None,
    morph: MorphOption = None,
    finder: Annotated[
        str | None, typer.Option(help="Face finder.", show_default=_SWAP.finder, autocompletion=finders)
    ] = None,
    codec: CodecOption = None,
    crf: CrfOption = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Makes a fake of each target in a dataset: clip, three masks, labels and record, signed; keeps times and sound.

    Of several targets, one that fails does not stop the others, and those that are done are skipped in a rerun. Other
    settings go into a --config file: groups color, mask, blend, degrade, temporal, output, square and restore, and
    segments.

    Example: assay forge swap bob.mp4 --run runs/ann-bob --source ann --out swapped/

    Example: assay forge swap bob.mp4 --run runs/ann-bob --source ann --preview 8 --range 1:02-1:10 --out look.jpg

    Example: assay forge swap bob.mp4 --run runs/ann-bob --source ann --out swapped.mp4

    Example: assay forge swap bob/ --run runs/ann-bob --source ann --out pictures/ --frames
    """
    flags = nested({
        "face": face, "morph": morph, "color.method": color, "mask.kind": mask, "mask.erode": erode,
        "mask.feather": feather, "blend.method": blend, "paste": paste, "blend.sharpen": sharpen,
        "blend.enlarge": enlarge, "output.codec": codec, "output.crf": crf, "output.gif": gif,
        "finder": finder, "device": device, "seed": seed,
    })  # fmt: skip
    settings: SwapConfig = resolve(SwapConfig, config, flags, with_paste)
    who = {"target_identity": target_identity, "rights": rights, "name": name, "stretch": _parsed(stretch)}
    pictures = {"frames": frames, "sequence": sequence, "patches": patches}
    drawn = preview is not None or frames or targets[0].is_dir()
    last = {"mark": mark, "notice": notice} | _sound_marked(mark_sound, drawn)
    if preview is not None:
        _to_sheet(_only(targets), run, source, out, settings, preview, pictures | {"gif": gif}, **last, **who)
    elif frames or targets[0].is_dir():
        _to_pictures(_only(targets), run, source, out, settings, **pictures, **last, **who)
    else:
        _to_videos(targets, run, source, out, settings, last, patches=patches, audio=audio, sequence=sequence, **who)


def _sound_marked(asked: bool, pictures: bool) -> dict[str, bool]:
    """The argument that marks sound, where it is asked for."""
    if asked and pictures:
        raise UsageError("pictures have no sound", hint="leave out --mark-sound, or name a video file as OUT")
    return {"mark_sound": True} if asked else {}


def _to_videos(
    targets: list[Path], run: Path, source: str, out: Path, settings: SwapConfig, last: Mapping[str, bool], *,
    patches: Path | None, audio: bool, sequence: bool, **who: Any,
) -> None:  # fmt: skip
    if sequence:
        raise UsageError(f"{targets[0]} is no folder of pictures", hint="leave out --sequence: a video is a sequence")
    from forge.swapping.deliverable import is_deliverable

    if is_deliverable(out):
        if patches is not None or settings.output.gif or who.pop("name") is not None:
            raise UsageError(f"{out} is one file", hint="leave --patches, --gif and --name out, or name a dataset")
        _to_file(_only(targets), run, source, out, settings, audio=audio, **last, **who)
    elif last["notice"]:
        raise UsageError("a clip of a dataset gets no visible notice", hint="name a video file as OUT, or --frames")
    elif last.get("mark_sound"):
        raise UsageError("a clip of a dataset keeps its sound unmarked", hint="name a video file as OUT")
    elif len(targets) == 1:
        _to_dataset(targets[0], run, source, out, settings, **who, patches=patches, audio=audio)
    else:
        if who["name"] is not None or patches is not None:
            raise UsageError("--name and --patches are for one target", hint="leave them out, or swap one by one")
        _all_to_dataset(targets, run, source, out, settings, **who, audio=audio)


def _parsed(stretch: str | None) -> ClipRange | None:
    from shared.video.excerpt import ClipRange

    return None if stretch is None else ClipRange.parse(stretch)


def _only(targets: list[Path]) -> Path:
    if len(targets) > 1:
        raise UsageError(
            f"{counted(len(targets), 'target')} for one --preview, --frames, video file or folder of pictures",
            hint="name one; several videos go into a dataset",
        )
    return targets[0]


def _to_sheet(
    target: Path, run: Path, source: str, out: Path, settings: SwapConfig, count: int, without: Mapping[str, object],
    **who: Any,
) -> None:  # fmt: skip
    asked = [f"--{name}" for name, value in without.items() if value]
    if asked:
        raise UsageError(f"a preview is a picture, so {asked[0]} does not go with it", hint="leave one of them out")
    from forge.swapping.sample import sample_swap

    made = sample_swap(target, swapper=run, source=source, out=out, config=settings, count=count, **who)
    swapped = sum(stop - start for start, stop in made.faked)
    console.print(f"{out}: {swapped} of {counted(made.frames, 'frame')} hold {source}'s face")
    console.result({"path": out, "frames": made.frames, "swapped": swapped})


def _all_to_dataset(targets: list[Path], run: Path, source: str, out: Path, settings: SwapConfig, **who: Any) -> None:
    from forge.swapping.several import swap_several

    attempts = swap_several(targets, swapper=run, source=source, dataset=out, config=settings, **who)
    rows: list[dict[str, Any]] = []
    for one in attempts:
        record, counts = one.record, _counts(one.record) if one.record else {}
        clip = {"id": str(record.id), "path": out / record.path, "sha256": record.sha256} if record else {}
        rows.append({"target": one.target, "outcome": one.outcome, **clip, **counts})
    shown = [(row["target"].name, row.get("swapped", ""), row.get("read", ""), row["outcome"]) for row in rows]
    console.table("targets", ["target", "swapped", "frames", "outcome"], shown)
    failed = sum(one.error is not None for one in attempts)
    console.result({"targets": rows, "failed": failed})
    if failed:
        raise MediaError(
            f"{failed} of {counted(len(attempts), 'target')} could not be swapped",
            hint="the table says why; the same command again skips those that are done",
        )


def _to_dataset(target: Path, run: Path, source: str, out: Path, settings: SwapConfig, **who: Any) -> None:
    from forge.swapping.clip import swap_clip
    from forge.swapping.output import PREVIEWS

    record = swap_clip(target, swapper=run, source=source, dataset=out, config=settings, **who)
    counts = _counts(record)
    console.print(f"{record.id}: {_counted(counts, source, 'frames')}")
    _say_read(record)
    console.print(f"clip:    {out / record.path}")
    console.print(f"picture: {out / PREVIEWS / str(record.id.manipulation) / f'{record.id.name}.jpg'}")
    if "flicker_ratio" in record.factors:
        console.print(f"flicker: {record.factors['flicker_ratio']} of the target's own")
    console.result(
        {"id": str(record.id), "path": out / record.path, "sha256": record.sha256, "faked": record.faked}
        | counts
        | _read(record)
    )


def _to_file(target: Path, run: Path, source: str, out: Path, settings: SwapConfig, **how: Any) -> None:
    from forge.swapping.deliverable import swap_to_file

    record = swap_to_file(target, out, swapper=run, source=source, config=settings, **how)
    counts = _counts(record)
    console.print(f"{out}: {_counted(counts, source, 'frames')}")
    _say_read(record)
    console.print(f"mark:    {record.factors['mark']}")
    console.result({"path": out, "mark": record.factors["mark"], "faked": record.faked} | counts | _read(record))


def _to_pictures(
    target: Path, run: Path, source: str, out: Path, settings: SwapConfig, *, frames: bool, **who: Any
) -> None:
    if not frames:
        raise UsageError(f"{target} is a folder", hint="with --frames its pictures are swapped into a folder")
    from forge.swapping.images import swap_images

    made = swap_images(target, swapper=run, source=source, out=out, config=settings, **who)
    counts = _counts(made)
    console.print(f"{out}: {_counted(counts, source, 'pictures')}")
    _say_read(made)
    if made.factors.get("pictures") == "single":
        console.print("They were treated as single pictures; --sequence treats a folder as frames of one video.")
    console.result({"path": out, "frames": made.frames, "faked": made.faked} | counts | _read(made))


def _read(record: ClipRecord) -> dict[str, str]:
    """How many of the target's frames or pictures could be read, as text; empty if all could."""
    return {name: text for name, text in record.factors.items() if name == "source_frames"}


def _say_read(record: ClipRecord) -> None:
    for text in _read(record).values():
        console.print(f"read:    {text}")


def _counts(record: ClipRecord) -> dict[str, int]:
    """Numbers of frames swapped, showing the chosen person (as far as recorded), and read."""
    swapped = sum(stop - start for start, stop in record.faked)
    return {"swapped": swapped, "seen": int(record.factors.get("frames_seen", swapped)), "read": record.frames}


def _counted(counts: Mapping[str, int], source: str, what: str) -> str:
    return f"{counts['swapped']} of {counts['read']} {what} hold {source}'s face; {counts['seen']} show the person"
