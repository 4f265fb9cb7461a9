"""``assay faces``: extract one person's faces from clips, and show a faceset."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from shared.commands.completion import devices, finders, values
from shared.commands.engine_options import AddressOption, EngineOption, JobsOption, engine_asked
from shared.commands.options import choices
from shared.console import console, counted
from shared.errors import UsageError
from shared.faces.facesets.extract_config import ExtractConfig
from shared.faces.foreign import Program
from shared.types import Framing

if TYPE_CHECKING:
    from shared.engine.tasks import Engine
    from shared.faces.facesets.reader import Faceset, FacesetInfo
    from shared.faces.facesets.summary import FacesetSummary

app = typer.Typer(help="Facesets: faces extracted from clips to train swappers.", no_args_is_help=True)

_NAMES = {
    "yaw_degrees": "yaw (degrees, + to the picture's right)",
    "pitch_degrees": "pitch (degrees, + up)",
    "roll_degrees": "roll (degrees, + clockwise)",
    "sharpness": "sharpness (variance of the Laplacian)",
    "width_px": "face width in the clip (px)",
}


_Finder = Annotated[
    str,
    typer.Option(
        help="auto, dlib, yunet, mtcnn, face-alignment, ...; sidecar: landmarks beside every clip.",
        autocompletion=finders,
    ),
]


@app.command()
def extract(
    clips: Annotated[list[Path], typer.Argument(help="Clips or pictures of one person.", show_default=False)],
    rights: Annotated[str, typer.Option(help="Basis of use: consent, CC-BY-4.0, ...", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the faceset; with --each, of all facesets.", show_default=False)],
    identity: Annotated[str | None, typer.Option(help="Person in the clips.", show_default=False)] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Every clip or folder is a different person, named after it.")
    ] = False,
    finder: _Finder = ExtractConfig.finder,
    device: Annotated[
        str, typer.Option(help="Where networks run: cpu, cuda, cuda:1, mps.", autocompletion=devices)
    ] = ExtractConfig.device,
    framing: Annotated[
        str, typer.Option(help="half, midface, full, whole or head.", autocompletion=values(Framing))
    ] = ExtractConfig.framing,
    px: Annotated[int, typer.Option(help="Side of a crop.")] = ExtractConfig.px,
    every: Annotated[int, typer.Option(help="Use every n-th frame.")] = ExtractConfig.every,
    detect_every: Annotated[
        int | None,
        typer.Option(help="Detect in every n-th frame, track in between; by default 8 on a CPU, else 1."),
    ] = ExtractConfig.detect_every,
    min_face_px: Annotated[
        float, typer.Option(help="Set faces with a narrower box aside.")
    ] = ExtractConfig.min_face_px,
    all_people: Annotated[
        bool, typer.Option("--all-people", help="Keep all people, not only the main one.")
    ] = ExtractConfig.all_people,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing faceset.")] = False,
    engine: EngineOption = None,
    address: AddressOption = None,
    jobs: JobsOption = None,
) -> None:
    """Extracts one person's faces from CLIPS to a faceset, each with landmarks, pose, sharpness and identity.

    Blurred and small faces, and those of other people, are written but set aside.

    With --each every clip is a different person, with faceset OUT/NAME, named after the file. In a folder, every video,
    picture and subfolder is one. Clips are extracted in parallel, on many machines with --engine ray; after a stop the
    same command continues.

    Example: assay faces extract ann-*.mp4 --identity ann --rights consent --out faces/ann

    Example: assay faces extract photos/ --identity crowd --all-people --rights CC-BY-4.0 --out faces/crowd

    Example: assay faces extract clips/ --each --rights consent --out faces --engine ray --address 10.0.0.1:6379
    """
    from shared.config import from_mapping

    settings = {
        "identity": "each" if each else identity,
        "rights": rights,
        "finder": finder,
        "device": device,
        "framing": framing,
        "px": px,
        "every": every,
        "detect_every": detect_every,
        "min_face_px": min_face_px,
        "all_people": all_people,
    }
    where = engine_asked(engine, address, jobs)
    if each and identity is not None:
        raise UsageError("with --each everybody is called like the file", hint="leave --identity out, or --each")
    if not each and identity is None:
        raise UsageError("who is seen in the clips?", hint="--identity NAME, or --each for a person a clip")
    if not each and where is not None:
        raise UsageError("one faceset is one task", hint="--each makes one of every clip, side by side")
    config = from_mapping(ExtractConfig, settings, where="assay faces extract")
    if each:
        _extract_each(clips, out, config, where, force)
        return
    from shared.faces.facesets.extract import extract as extract_faces

    info = extract_faces(clips, out, config, force=force)
    _say(out, info)
    console.result({"path": str(out), **dataclasses.asdict(info)})


def _extract_each(clips: list[Path], out: Path, config: ExtractConfig, engine: Engine | None, force: bool) -> None:
    from shared.faces.facesets.extract_each import extract_each, people_in
    from shared.video.unread import outcome

    found = extract_each(people_in(clips), out, config, engine=engine, force=force)
    made = [one for one in found if not one.why]
    for one in found:
        if one.why:
            console.warn(f"no faceset of {one.identity}: {one.why}")
        elif one.unread:
            console.warn(f"{one.identity}: {outcome(one.clips, one.unread)}")
    before = sum(one.was_there for one in made)
    console.print(
        f"{out}: {len(made)} of {counted(len(found), 'faceset')}, {before} of them there before, "
        f"{counted(sum(one.kept for one in made), 'face')} kept"
    )
    console.result({"path": str(out), "facesets": [dataclasses.asdict(one) for one in found]})


@app.command("import")
def import_(
    faces: Annotated[
        Path, typer.Argument(help="Folder of extracted faces, or an alignments file (.fsa).", show_default=False)
    ],
    program: Annotated[
        str, typer.Option("--from", help=f"{choices(Program)}.", show_default=False, autocompletion=values(Program))
    ],
    identity: Annotated[str, typer.Option(help="Person in the pictures.", show_default=False)],
    rights: Annotated[str, typer.Option(help="Basis of use: consent, CC-BY-4.0, ...", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the faceset.", show_default=False)],
    source: Annotated[
        Path | None,
        typer.Option(help="Video or folder that faceswap's faces are from.", show_default="landmarks found anew"),
    ] = None,
    framing: Annotated[
        str | None,
        typer.Option(
            help="half, midface, full, whole or head.",
            show_default="as the pictures, else whole",
            autocompletion=values(Framing),
        ),
    ] = None,
    px: Annotated[int, typer.Option(help="Side of a crop.")] = ExtractConfig.px,
    finder: _Finder = ExtractConfig.finder,
    all_people: Annotated[
        bool, typer.Option("--all-people", help="Keep all people, not only the main one.")
    ] = ExtractConfig.all_people,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing faceset.")] = False,
) -> None:
    """Makes a faceset of faces that faceswap or DeepFaceLab extracted, with the landmarks that they stored.

    Their files are read as data: nothing in them is executed, and what is more than data is refused.

    Example: assay faces import data_src/aligned --from deepfacelab --identity ann --rights consent --out faces/ann

    Example: assay faces import ann.fsa --from faceswap --source ann.mp4 --identity ann --rights consent --out faces/ann
    """
    from shared.config import from_mapping

    if program not in get_args(Program):
        raise UsageError(f"no program is named {program!r}", hint=choices(Program))
    settings = {
        "identity": identity, "rights": rights, "px": px, "finder": finder, "all_people": all_people,
        "framing": framing or ExtractConfig.framing,
    }  # fmt: skip
    config = from_mapping(ExtractConfig, settings, where="assay faces import")
    from shared.faces.foreign.importing import import_faces

    chosen = None if framing is None else config.framing
    info = import_faces(faces, out, config, program, framing=chosen, source=source, force=force)  # type: ignore[arg-type]
    _say(out, info)
    console.result({"path": str(out), **dataclasses.asdict(info)})


@app.command()
def show(
    faceset: Annotated[Path, typer.Argument(help="Folder of the faceset.", show_default=False)],
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet here, .png or .jpg.")] = None,
    count: Annotated[int, typer.Option(help="How many crops the sheet shows.")] = 48,
    landmarks: Annotated[bool, typer.Option("--landmarks", help="Draw the landmarks on the sheet.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also show faces that were set aside, framed red.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Read every crop and check it against the stored hash.")] = False,
) -> None:
    """Shows a faceset: counts, distribution of pose and sharpness, on request a contact sheet.

    Example: assay faces show faces/ann --sheet ann.jpg
    """
    from shared.faces.facesets.reader import Faceset
    from shared.faces.facesets.summary import check_picture_path, contact_sheet, save_picture, summarise

    if sheet is not None:
        check_picture_path(sheet)
    opened = Faceset.open(faceset)
    if deep:
        opened.verify()
    summary = summarise(opened)
    _show_summary(opened, summary)
    if sheet is not None:
        save_picture(sheet, contact_sheet(opened, count=count, everything=everything, landmarks=landmarks))
        console.print(f"contact sheet: {sheet}")
    document = {"path": str(faceset), **dataclasses.asdict(opened.info), "digest": opened.digest()}
    console.result({**document, "summary": dataclasses.asdict(summary), "sheet": str(sheet) if sheet else None})


@app.command()
def keep(
    faceset: Annotated[Path, typer.Argument(help="Folder of the faceset.", show_default=False)],
    remove: Annotated[str, typer.Option(help="Rows to set aside, as 3,7,10-14.", show_default="none")] = "",
    restore: Annotated[str, typer.Option(help="Rows to take back.", show_default="none")] = "",
) -> None:
    """Sets faces of a faceset aside by hand, or takes them back. The crops stay.

    Example: assay faces keep faces/ann --remove 3,7,10-14 --restore 2
    """
    from shared.faces.facesets.keeping import parse_rows, set_kept

    removed, restored = parse_rows(remove), parse_rows(restore)
    if not removed and not restored:
        raise UsageError("no row is named", hint="--remove 3,7 or --restore 2")
    info = set_kept(faceset, remove=removed, restore=restored)
    _say(faceset, info)
    console.result({"path": str(faceset), **dataclasses.asdict(info)})


@app.command()
def move(
    faceset: Annotated[Path, typer.Argument(help="Folder of the faceset they are in.", show_default=False)],
    rows: Annotated[str, typer.Option(help="Rows to move, as 3,7,10-14.", show_default=False)],
    to: Annotated[
        Path, typer.Option(help="Folder of the other person's faceset, or of a new one.", show_default=False)
    ],
    identity: Annotated[
        str | None, typer.Option(help="Person of a new faceset.", show_default="the folder's name")
    ] = None,
) -> None:
    """Moves faces to the faceset of another person, who may be new.

    They are set aside where they were, and kept there; moved back, they are taken back. No crop is lost.

    Example: assay faces move faces/ann --rows 40-61,70 --to faces/ben
    """
    from shared.faces.facesets.keeping import parse_rows
    from shared.faces.facesets.moving import move_faces

    done = move_faces(faceset, parse_rows(rows), to, identity=identity)
    _say(faceset, done.source)
    _say(to, done.target)
    if done.there_before:
        console.print(f"{counted(done.there_before, 'face')} had been in {to} before")
    console.result({"path": str(faceset), "to": str(to), **dataclasses.asdict(done)})


@app.command()
def merge(
    facesets: Annotated[list[Path], typer.Argument(help="Facesets of one person.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the new faceset.", show_default=False)],
    identity: Annotated[str | None, typer.Option(help="The person.", show_default="that of the first one")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing faceset.")] = False,
) -> None:
    """Merges facesets of one person into a new one; they stay as they are.

    Example: assay faces merge faces/ann faces/unknown-3 --out faces/ann-all
    """
    from shared.faces.facesets.moving import merge_facesets

    info = merge_facesets(facesets, out, identity=identity, force=force)
    _say(out, info)
    console.result({"path": str(out), **dataclasses.asdict(info)})


@app.command()
def landmarks(
    clip: Annotated[Path, typer.Argument(help="The clip.", show_default=False)],
    frame: Annotated[int, typer.Option(help="Frame, counted from 0.", min=0)],
    points: Annotated[str, typer.Option(help="68 pairs x,y in frame pixels.", show_default="no face in it")] = "",
    since: Annotated[
        int | None, typer.Option(help="Fill the frames between this one and --frame.", show_default="none")
    ] = None,
) -> None:
    """Sets the landmarks of the face in one frame by hand; --finder sidecar reads them.

    Example: assay faces landmarks ann.mp4 --frame 120 --points "10.5,20 11,24 ..." --since 100
    """
    from shared.faces.annotate import parse_points, set_landmarks
    from shared.faces.finders.sidecar import sidecar_of

    frames = set_landmarks(clip, frame, parse_points(points) if points else None, since=since)
    console.print(f"{counted(len(frames), 'frame')} set in {sidecar_of(clip)}")
    console.result({"table": str(sidecar_of(clip)), "frames": frames})


def _say(out: Path, info: FacesetInfo) -> None:
    from shared.video.unread import frames_found, outcome

    read = sum(clip.frames_read for clip in info.clips)
    empty = sum(clip.frames_without_face for clip in info.clips)
    aside = ", ".join(f"{count} {reason}" for reason, count in info.set_aside.items())
    console.print(
        f"{out}: {counted(info.kept, 'face')} of {info.identity} kept" + (f", set aside: {aside}" if aside else "")
    )
    decoded = sum(clip.frames_decoded or 0 for clip in info.clips)
    declared = sum(clip.frames_declared or clip.frames_decoded or 0 for clip in info.clips)
    short = f" ({frames_found(declared, decoded)} declared)" if declared != decoded else ""
    console.print(f"{counted(read, 'frame')} read{short}, {empty} of them without a face")
    if info.unread:
        console.warn(outcome(len(info.clips), info.unread))


def _show_summary(faceset: Faceset, summary: FacesetSummary) -> None:
    from shared.video.unread import frames_found

    info = faceset.info
    console.print(f"{faceset.path}: {info.identity}, rights: {info.rights}")
    console.print(f"{info.framing} crops of {info.px} px, finder {info.finder.get('name', 'unknown')}")
    aside = ", ".join(f"{count} {reason}" for reason, count in info.set_aside.items()) or "none"
    console.print(
        f"{counted(summary.faces, 'face')} in {counted(summary.tracks, 'track')}, {summary.kept} kept, "
        f"set aside: {aside}"
    )
    console.table(
        "clips",
        ["clip", "in the file", "frames read", "without face", "sha256"],
        [
            (
                clip.name,
                "" if clip.frames_decoded is None else frames_found(clip.frames_declared, clip.frames_decoded),
                clip.frames_read,
                clip.frames_without_face,
                clip.sha256[:12],
            )
            for clip in info.clips
        ],
    )
    console.table(
        "kept faces",
        ["measure", "5 %", "median", "95 %"],
        [
            (_NAMES[name], *(f"{value:.1f}" for value in dataclasses.astuple(spread)))
            for name, spread in summary.spreads.items()
        ],
    )
