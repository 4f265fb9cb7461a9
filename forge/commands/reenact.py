"""``assay forge reenact``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from forge.commands.options import (
    CodecOption,
    CrfOption,
    GifOption,
    MarkOption,
    NoticeOption,
    RangeOption,
    RightsOption,
    strengths_of,
)
from forge.reenacting.config import REGIONS, FamilyName, Motion, ReenactConfig, SoundFrom, completed, regions_of
from shared.commands.completion import finders, values
from shared.commands.options import DeviceOption, SeedOption, SettingsOption, choices, default, nested, resolve
from shared.console import console
from shared.dataset.held import TARGET_STILL
from shared.errors import UsageError
from shared.types import ClipRecord

_USUAL = ReenactConfig()

RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        help=f"What is driven: all, or some of {', '.join(REGIONS)} with commas between.",
        show_default=",".join(_USUAL.regions),
    ),
]
StrengthOption = Annotated[
    list[str] | None,
    typer.Option(help="Share of the driver's motion, 0 to 2, such as mouth=1.2. Repeatable.", show_default="1"),
]
FamilyOption = Annotated[
    str | None,
    typer.Option(help=f"One of {choices(FamilyName)}.", show_default=_USUAL.family, autocompletion=values(FamilyName)),
]
MotionOption = Annotated[
    str | None,
    typer.Option(
        help="In place of the target's own motion, or added to it: replace, add.",
        show_default=_USUAL.motion,
        autocompletion=values(Motion),
    ),
]
SoundOption = Annotated[
    str | None,
    typer.Option(
        help=f"Whose sound is kept: {choices(SoundFrom)}.",
        show_default=f"{_USUAL.sound}; for lipsync driver",
        autocompletion=values(SoundFrom),
    ),
]
NeutralOption = Annotated[
    int | None, typer.Option(help="Frame of the driver with a face at rest.", show_default="chosen")
]
OffsetOption = Annotated[
    float | None,
    typer.Option(help="Seconds into the driver at which the target begins.", show_default=default(0.0)),
]
DriveOption = Annotated[
    Path,
    typer.Option(help="Video whose performance drives it, TARGET itself for a control; for lipsync any sound."),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        help="Run or swapper that knows the target, for reenact-latent; run of train-reenactor, for reenact-landmark; "
        "another model than the package's, for reenact-warp and lipsync.",
        show_default=False,
    ),
]
DriveRightsOption = Annotated[
    str | None,
    typer.Option(help="Basis of use of the driver's performance or voice.", show_default="by record, or unstated"),
]


def reenact(
    target: Annotated[Path, typer.Argument(help="Video or photograph whose face is driven.", show_default=False)],
    drive: DriveOption,
    out: Annotated[Path, typer.Option(help="Dataset for the fake, made if missing, or one video file.")],
    region: RegionOption = None,
    strength: StrengthOption = None,
    family: FamilyOption = None,
    run: RunOption = None,
    motion: MotionOption = None,
    neutral: NeutralOption = None,
    offset: OffsetOption = None,
    sound: SoundOption = None,
    stretch: RangeOption = None,
    target_identity: Annotated[
        str | None, typer.Option(help="Person in the target.", show_default="by record, or the file's name")
    ] = None,
    driver_identity: Annotated[
        str | None, typer.Option(help="Person in the driver, or voice.", show_default="by record, or the file's name")
    ] = None,
    rights: RightsOption = None,
    drive_rights: DriveRightsOption = None,
    name: Annotated[str | None, typer.Option(help="Name of the clip.", show_default="TARGET-by-DRIVER")] = None,
    mark: MarkOption = True,
    notice: NoticeOption = False,
    gif: GifOption = None,
    finder: Annotated[
        str | None, typer.Option(help="Face finder.", show_default=_USUAL.finder, autocompletion=finders)
    ] = None,
    drive_finder: Annotated[
        str | None, typer.Option(help="Face finder for the driver.", show_default="the same", autocompletion=finders)
    ] = None,
    codec: CodecOption = None,
    crf: CrfOption = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    config: SettingsOption = None,
) -> None:
    """Drives the mouth, brows, eyes or tilt of a face by another clip's performance, or the mouth by speech.

    The person stays the same.

    The fake is labelled, masked and signed like a swap; pixels outside the region are the target's before encoding.
    Frames in which the heads are turned too differently stay as they are. Other settings go into a --config file.

    A photograph is shown for as long as its driver lasts, or a --range of the driver; every frame of it is fake.

    Example: assay forge reenact ann.mp4 --drive bob.mp4 --out driven/

    Example: assay forge reenact ann.mp4 --drive bob.mp4 --region mouth,brows --strength brows=0.7 --out driven/

    Example: assay forge reenact ann.png --drive bob.mp4 --family reenact-warp --sound driver --out driven.mp4

    Example: assay forge reenact ann.mp4 --drive bob.mp4 --family reenact-landmark --run runs/driven --out driven/

    Example: assay forge reenact ann.mp4 --family lipsync --drive speech.wav --drive-rights consent --out said.mp4
    """
    flags = nested(
        {
            "family": family,
            "regions": None if region is None else regions_of(region),
            "motion": motion,
            "neutral": neutral,
            "offset_seconds": offset,
            "sound": sound,
            "output.codec": codec,
            "output.crf": crf,
            "output.gif": gif,
            "finder": finder,
            "device": device,
            "seed": seed,
        }
        | {f"strength.{key}": value for key, value in strengths_of(strength or []).items()}
    )
    settings: ReenactConfig = resolve(ReenactConfig, config, flags, completed)
    who = {
        "target_identity": target_identity, "driver_identity": driver_identity, "rights": rights, "stretch": stretch,
        "drive_rights": drive_rights, "swapper": run, "drive_finder": drive_finder,
    }  # fmt: skip
    _make(target, drive, out, settings, name, mark=mark, notice=notice, **who)


def _make(
    target: Path, drive: Path, out: Path, settings: ReenactConfig, name: str | None, *, mark: bool, notice: bool,
    **who: Any,
) -> None:  # fmt: skip
    from forge.reenacting.clip import reenact_clip
    from forge.reenacting.deliverable import reenact_to_file
    from forge.swapping.deliverable import is_deliverable

    if is_deliverable(out):
        if settings.output.gif or name is not None:
            raise UsageError(f"{out} is one file", hint="leave --gif and --name out, or name a dataset")
        _say(reenact_to_file(target, drive, out, config=settings, mark=mark, notice=notice, **who), out)
        return
    if notice:
        raise UsageError("a clip of a dataset gets no visible notice", hint="name a video file as OUT")
    record = reenact_clip(target, drive=drive, dataset=out, config=settings, name=name, **who)
    _say(record, out / record.path)


def _say(record: ClipRecord, path: Path) -> None:
    from forge.reenacting.record import FRAMES_HELD

    driven = sum(stop - start for start, stop in record.faked) - int(record.factors.get(FRAMES_HELD, 0))
    seen = int(record.factors.get("frames_seen", driven))
    console.print(f"{record.id}: {driven} of {record.frames} frames are driven; {seen} show the person")
    console.print(f"clip:    {path}")
    if TARGET_STILL in record.factors:
        console.print(f"target:  a still ({record.factors[TARGET_STILL]}); every frame is labelled fake")
    if "drive_neutral" in record.factors:
        console.print(f"neutral: frame {record.factors['drive_neutral']} of the driver")
    if "mouth_inside" in record.factors:
        console.print(f"mouth:   {record.factors['mouth_inside']}")
    if "flicker_ratio" in record.factors:
        console.print(f"flicker: {record.factors['flicker_ratio']} of the target's own")
    facts = {name: record.factors.get(name) for name in ("drive_neutral", "target_neutral", "pose_gap_degrees")}
    console.result(
        {"id": str(record.id), "path": path, "sha256": record.sha256, "faked": record.faked, "driven": driven,
         "seen": seen, "read": record.frames} | facts
    )  # fmt: skip
