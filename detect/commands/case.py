"""``assay case``: checks, packs and compares the cases that ``assay inspect`` writes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from detect.commands.show import plain
from shared.commands.options import DeviceOption
from shared.console import console, counted
from shared.errors import CaseError, UsageError

app = typer.Typer(help="Check, pack, compare and repeat the cases of assay inspect.", no_args_is_help=True)

_SHOWN = 40

Case = Annotated[Path, typer.Argument(help="Case folder, or an archive of one.", show_default=False)]


@app.command()
def verify(
    case: Case,
    file: Annotated[Path | None, typer.Option(help="The inspected file, to be compared too.")] = None,
) -> None:
    """Shows whether anything in a case changed: every file, the chain of its log, its signature. Ends with 1 if so.

    Example: assay case verify case/ --file suspect.mp4
    """
    from detect.cases.log import LOG_NAME
    from detect.cases.seal import check_case

    found = check_case(case)
    faults = [*found.faults, *(_file_faults(case, file) if file is not None else ())]
    console.result(asdict(found) | {"place": str(case), "faults": faults, "sound": not faults})
    console.print(f"{case}: {counted(found.files, 'file')} unchanged, {counted(found.steps, 'step')} in {LOG_NAME}")
    if found.known:
        console.print(f"signed by {found.signer}, whom you know")
    for fault in faults[:_SHOWN]:
        console.warn(fault)
    if faults:
        raise CaseError(
            f"{counted(len(faults), 'fault')} found: {case} is not as it was signed",
            hint="restore it from a copy; trust a signer you know with assay dataset identity --trust FINGERPRINT",
        )


def _file_faults(case: Path, file: Path) -> list[str]:
    from detect.cases.compare import inspected_sha256
    from shared.storage import sha256_file
    from shared.video.container import need_file

    need_file(file)
    return [] if sha256_file(file) == inspected_sha256(case) else [f"{file} is not the file that was inspected"]


@app.command()
def export(
    case: Annotated[Path, typer.Argument(help="Case folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="ZIP archive that is written.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace an archive that exists.")] = False,
) -> None:
    """Packs a case into one archive, which assay case verify checks as it is. The case is checked before.

    Example: assay case export case/ case.zip
    """
    from detect.cases.export import export_case

    number = export_case(case, out, force=force)
    console.print(f"{counted(number, 'file')} packed into {out}")
    console.result({"archive": str(out), "files": number})


@app.command()
def compare(first: Case, second: Annotated[Path, typer.Argument(help="The other case.", show_default=False)]) -> None:
    """Names every difference between the reports and scores of two cases.

    Example: assay case compare case/ case-2/
    """
    from detect.cases.compare import compare_cases

    _show_differences(compare_cases(first, second))


@app.command()
def note(
    case: Annotated[Path, typer.Argument(help="Case folder.", show_default=False)],
    text: Annotated[str, typer.Argument(help="The note.", show_default=False)],
    frame: Annotated[
        int | None, typer.Option(help="Frame that it is about.", show_default="the whole file", min=0)
    ] = None,
    by: Annotated[str, typer.Option(help="Who writes it.", show_default="nobody named")] = "",
) -> None:
    """Adds a note to the custody log of a case and signs the case anew. A note is never changed: add another.

    Example: assay case note case/ "the edge of the jaw flickers" --frame 120 --by "A. Analyst"
    """
    from detect.cases.note import add_note

    step = add_note(case, text, frame=frame, by=by)
    console.print(f"noted in {case}")
    console.result({"case": str(case), **asdict(step)})


@app.command()
def again(
    case: Annotated[Path, typer.Argument(help="Case folder.", show_default=False)],
    detector: Annotated[
        list[Path], typer.Option(help="Run or detector folder; repeatable, the first is the report's own.")
    ],
    out: Annotated[Path, typer.Option(help="Case folder that receives the new report.")],
    file: Annotated[
        Path | None, typer.Option(help="Where the inspected file is now.", show_default="where it was")
    ] = None,
    speech_detector: Annotated[
        Path | None,
        typer.Option(
            help="Detector of synthetic speech, for the sound; none: without one.",
            show_default="assay, the one in the package",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing case folder.")] = False,
    device: DeviceOption = None,
) -> None:
    """Inspects the file of a case again, with its settings and another detector, and names the differences.

    Example: assay case again case/ --detector runs/other --out case-2/
    """
    from detect.inspection.again import inspect_again
    from detect.inspection.inspect import show
    from detect.speech.shipped import default_speech

    first, *others = detector
    report, comparison = inspect_again(
        case,
        first,
        out,
        others=others,
        file=file,
        speech=default_speech(speech_detector),
        device=device or "auto",
        force=force,
    )
    show(report, out)
    if not comparison.same_file:
        raise UsageError(f"{out} is about another file", hint="inspect it with assay inspect")
    _show_differences(comparison, report=plain(report))


def _show_differences(comparison, **more: object) -> None:  # noqa: ANN001 - a Comparison, imported late
    console.print("the same file" if comparison.same_file else "two different files")
    found = comparison.differences
    console.table("differences", ["what", "first", "second"], [(one.what, one.first, one.second) for one in found])
    console.print(f"{counted(len(found), 'difference')}" if found else "no difference")
    console.result({"same_file": comparison.same_file, "differences": [asdict(one) for one in found], **more})
