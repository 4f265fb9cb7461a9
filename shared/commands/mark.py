"""``assay mark``: reads and writes the imperceptible marks of pictures, videos and sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shared.commands.completion import words
from shared.console import console, counted
from shared.errors import AssayError, MediaError, UsageError

if TYPE_CHECKING:
    from shared.marking.files import FileMarks
    from shared.marking.reading import MarkReading
    from shared.provenance.types import Provenance

app = typer.Typer(help="Read and write imperceptible marks.", no_args_is_help=True)

ABSENCE = (
    "A mark that is not read proves nothing: most media never had one, and strong compression or somebody's effort "
    "removes it. A mark that is read says which key wrote it, which is public, not that the content is false."
)
_KINDS = ("own", "swap", "reenact", "generate", "speech")


@app.command()
def read(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files, or folders of files.", show_default=False)
    ],
) -> None:
    """Says which layers a file carries, signature and marks, and what each of them says.

    Example: assay mark read clip.mp4

    Each file is decoded in a process of its own. For a mark: the payload, the bits that were corrected, how far its
    statistic is above the threshold, and the rate of false alarms at that threshold. A folder's files are read one by
    one, and a file that cannot be read does not stop the others.
    """
    files = list(_files(paths))
    rows: list[dict[str, Any]] = []
    failed: AssayError | None = None
    for path in files:
        try:
            rows.append(_read(path))
        except AssayError as error:
            if len(files) == 1:
                raise
            failed = failed or error
            rows.append({"path": path, "error": str(error)})
            console.warn(str(error))
    console.print(ABSENCE)
    marked = sum(bool(row.get("marked")) for row in rows)
    signed = sum(bool(row.get("signed")) for row in rows)
    if len(rows) > 1:
        console.print(f"{counted(len(rows), 'file')}: {marked} marked, {signed} validly signed")
    console.result({"files": rows, "marked": marked, "signed": signed, "absence": ABSENCE})
    if failed is not None:
        raise MediaError(f"{sum('error' in row for row in rows)} of {counted(len(rows), 'file')} could not be read",
                         hint=failed.hint)  # fmt: skip


@app.command()
def write(
    source: Annotated[Path, typer.Argument(help="Picture, video or sound file.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The marked copy: .png, .jpg, a video file, .wav or .flac.")],
    kind: Annotated[str, typer.Option(help=f"What it is: {', '.join(_KINDS)}.", autocompletion=words(*_KINDS))] = "own",
    notice: Annotated[
        bool,
        typer.Option("--notice", help="Tell people: a label in a corner of pictures, tones before a sound."),
    ] = False,
    sound: Annotated[
        bool, typer.Option("--sound", help="Mark the sound of a video too, which encodes it anew.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.")] = False,
) -> None:
    """Writes a marked copy of your own material, signed, with the mark named in the signature.

    Example: assay mark write portrait.png --out portrait-marked.png

    The payload leads to the SHA-256 of the source. Material that says it is a fake stays one. A video's sound is
    copied unchanged, without --sound; sound files are marked themselves and written as 16-bit samples.
    """
    if kind not in _KINDS:
        raise UsageError(f"no kind {kind!r}", hint=f"one of {', '.join(_KINDS)}")
    if out.exists() and not force:
        raise UsageError(f"{out} is there", hint="choose another --out, or replace it with --force")
    from shared.marking.files import mark_file
    from shared.video.container import need_file

    need_file(source)
    with console.progress("marking", None, unit="frame") as tick:
        payload = mark_file(source, out, kind=kind, notice=notice, sound=sound, tick=tick)
    console.print(f"{out}: marked {payload.text} ({payload.kind}, record {payload.record}) and signed")
    console.result({"path": out, "payload": payload.text, "kind": payload.kind, "record": payload.record})


def _files(paths: list[Path]) -> list[Path]:
    """The files that are named, and those in the folders that are."""
    from shared.marking.files import READ_SUFFIXES
    from shared.storage import is_draft

    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(
            one for one in path.rglob("*")
            if one.suffix.lower() in READ_SUFFIXES and one.is_file() and not one.is_symlink() and not is_draft(one.name)
        )  # fmt: skip
        if not inside:
            raise UsageError(f"{path} holds no picture, video or sound", hint="name files, or another folder")
        found += inside
    return found


def _read(path: Path) -> dict[str, Any]:
    from shared.marking.files import read_marks
    from shared.provenance.read import read_provenance
    from shared.provenance.trust import known_roots
    from shared.video.child import Child
    from shared.video.container import need_file

    need_file(path)
    with Child(path) as source:
        signature = source.call(read_provenance, known_roots())
        marks = source.call(read_marks)
    console.print(f"{path}:")
    console.print(f"  signature: {signature_text(signature)}")
    for name, reading in (("picture mark", marks.picture), ("sound mark", marks.sound)):
        if reading is not None:
            console.print(f"  {name}: {reading_text(reading)}")
    fits = fitting(signature, marks)
    if fits is not None:
        console.print(f"  the signature names {'this mark' if fits else 'ANOTHER mark than the one that was read'}")
    valid = signature is not None and signature.valid
    document: dict[str, Any] = {"path": path, "signed": valid, "marked": marks.found, "signature names the mark": fits}
    for name, reading in (("picture", marks.picture), ("sound", marks.sound)):
        document[name] = None if reading is None else reading_document(reading)
    return document


def signature_text(found: Provenance | None) -> str:
    """The signature layer in a sentence."""
    if found is None:
        return "none in the file"
    state = "valid" if found.valid else "INVALID"
    signer = found.signer.name if found.signer is not None else "an unnamed signer"
    known = "known here" if found.signer is not None and found.signer.trusted else "not known here"
    says = "; says that a trained model had a hand in it" if found.says_fake else ""
    names = ", ".join(binding.text for binding in found.bindings) or "no mark"
    return f"{state}, by {signer} ({known}){says}; names {names}"


def reading_text(reading: MarkReading) -> str:
    """A mark in a sentence."""
    strength = f"statistic {reading.statistic:.1f}, threshold {reading.threshold:.1f}"
    if reading.payload is None:
        return f"none read ({strength}; false alarms at most 1 in 10^6 files)"
    shape = "" if reading.scale is None else f", scale {reading.scale:.2f}{', mirrored' if reading.mirrored else ''}"
    return (
        f"{reading.payload.text}: kind {reading.payload.kind}, record {reading.payload.record}; "
        f"{100 * (reading.bit_error_rate or 0):.1f} % of the code's bits corrected{shape} ({strength}; "
        f"false alarms at most 1 in 10^6 files)"
    )


def reading_document(reading: MarkReading) -> dict[str, Any]:
    """A mark for programs."""
    from shared.marking.reading import FALSE_ALARM_RATE

    payload = reading.payload
    return {
        "read": reading.found,
        "payload": None if payload is None else payload.text,
        "kind": None if payload is None else payload.kind,
        "record": None if payload is None else payload.record,
        "statistic": round(reading.statistic, 3),
        "threshold": round(reading.threshold, 3),
        "false_alarm_rate": FALSE_ALARM_RATE,
        "bit_error_rate": reading.bit_error_rate,
        "scale": reading.scale,
        "mirrored": reading.mirrored,
    }


def fitting(signature: Provenance | None, marks: FileMarks) -> bool | None:
    """Whether the signature names the marks that were read; None if one of the two is missing."""
    from shared.marking.files import picture_binding, sound_binding

    named = set(signature.bindings) if signature is not None else set()
    found = {picture_binding(marks.picture.payload)} if marks.picture and marks.picture.payload else set()
    found |= {sound_binding(marks.sound.payload)} if marks.sound and marks.sound.payload else set()
    return found <= named if named and found else None
