"""``assay voices``: extract the utterances of one voice, list and show voicesets."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.console import console, counted
from shared.errors import MediaError, UsageError, VoicesetError

if TYPE_CHECKING:
    from shared.voices.layout import VoicesetInfo

app = typer.Typer(help="Voicesets: utterances of one voice, extracted from recordings.", no_args_is_help=True)

_MOST_TEXT_BYTES = 64 << 20


@app.command()
def extract(
    recordings: Annotated[
        list[Path], typer.Argument(help="Sound or video files of one person, or folders.", show_default=False)
    ],
    rights: Annotated[str, typer.Option(help="Basis of use: consent, CC-BY-4.0, ...", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the voiceset; with --each, of all.", show_default=False)],
    identity: Annotated[str | None, typer.Option(help="Who speaks.", show_default=False)] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Every file or folder is another person, named after it.")
    ] = False,
    texts: Annotated[
        Path | None,
        typer.Option(
            help="What is said: a line a recording, its name without suffix and the words.", show_default=False
        ),
    ] = None,
    shortest: Annotated[float, typer.Option(help="Leave shorter stretches of speech out, seconds.")] = 1.0,
    longest: Annotated[float, typer.Option(help="Cut longer ones at a pause, seconds.")] = 12.0,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing voiceset.")] = False,
) -> None:
    """Extracts the speech of one person from RECORDINGS to a voiceset of single utterances.

    Speech is found and cut at pauses; clipped, very quiet and very short stretches are left out and counted. A voice
    needs a basis on which it may be used, and its recordings are files of yours: none are taken from a link.

    Example: assay voices extract ann-*.wav --identity ann --rights consent --out voices/ann

    Example: assay voices extract readers/ --each --rights CC-BY-4.0 --out voices
    """
    from shared.video.unread import Unread
    from shared.voices.extract import extract_voice
    from shared.voices.layout import ExtractSettings

    if each and identity is not None:
        raise UsageError("with --each everybody is called like the file", hint="leave --identity out, or --each")
    if not each and identity is None:
        raise UsageError("who speaks in the recordings?", hint="--identity NAME, or --each for a person a file")
    said = _texts(texts)
    people = _people(recordings) if each else {str(identity): recordings}
    settings = {name: ExtractSettings(name, rights, shortest, longest) for name in people}
    made = []
    unread = Unread(MediaError, VoicesetError)
    for name, files in people.items():
        place = out / name if each else out
        with unread.passing_over(place):
            info = extract_voice(files, place, settings[name], texts=said, force=force)
            _say(place, info)
            made.append({"path": str(place), **dataclasses.asdict(info)})
    unread.need_some(len(made))
    for name, why in unread.reasons.items():
        console.warn(f"no voiceset of {name}: {why}")
    console.result({"path": str(out), "voicesets": made, "left_out": unread.reasons} if each else made[0])


@app.command("list")
def list_(
    folder: Annotated[Path, typer.Argument(help="Folder of voicesets.", show_default=False)],
) -> None:
    """Lists the voicesets in a folder.

    Example: assay voices list voices
    """
    from shared.voices.reader import read_voiceset, voicesets_in

    found = [read_voiceset(path) for path in voicesets_in(folder)]
    console.table(
        str(folder),
        ["voice", "utterances", "seconds", "rights", "with text", "synthetic"],
        [
            (
                one.info.identity,
                one.info.utterances,
                f"{one.info.seconds:.1f}",
                one.info.rights,
                sum(each.text is not None for each in one.utterances),
                "yes" if one.info.synthetic else "",
            )
            for one in found
        ],
    )
    console.result({"voicesets": [{"path": str(one.path), **dataclasses.asdict(one.info)} for one in found]})


@app.command()
def show(
    voiceset: Annotated[Path, typer.Argument(help="Folder of the voiceset.", show_default=False)],
) -> None:
    """Shows a voiceset: its rights, its recordings, what was left out, and its utterances.

    Example: assay voices show voices/ann
    """
    from shared.voices.reader import read_voiceset

    opened = read_voiceset(voiceset)
    _say(voiceset, opened.info)
    console.table(
        "utterances",
        ["number", "recording", "from (s)", "seconds", "level (dB)", "text"],
        [
            (
                number,
                opened.info.sources[one.source].name,
                one.start,
                f"{one.seconds:.2f}",
                one.level_db,
                one.text or "",
            )
            for number, one in enumerate(opened.utterances)
        ],
    )
    rows = [dataclasses.asdict(one) for one in opened.utterances]
    console.result({"path": str(voiceset), **dataclasses.asdict(opened.info), "lines": rows})


def _people(recordings: list[Path]) -> dict[str, list[Path]]:
    """Every file or folder as a person; the entries of a single folder without own sound files are the people."""
    from shared.voices.extract import RECORDING_SUFFIXES

    if len(recordings) == 1 and recordings[0].is_dir():
        inside = sorted(recordings[0].iterdir())
        recordings = [one for one in inside if one.is_dir() or one.suffix.lower() in RECORDING_SUFFIXES]
    people: dict[str, list[Path]] = {}
    for path in recordings:
        if people.setdefault(path.stem, [path]) != [path]:
            raise UsageError(f"two recordings are called {path.stem}", hint="give every person a name of their own")
    if not people:
        raise UsageError("no recordings are named", hint="name files, or a folder with a file or folder a person")
    return people


def _texts(path: Path | None) -> dict[str, str]:
    from shared.storage import read_bytes

    if path is None:
        return {}
    data = read_bytes(path, _MOST_TEXT_BYTES, error=UsageError, hint="a text file with a line a recording")
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8", hint="save it as UTF-8") from error
    pairs = [line.split(maxsplit=1) for line in lines if line.strip()]
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def _say(out: Path, info: VoicesetInfo) -> None:
    left = ", ".join(f"{count} {reason}" for reason, count in info.left_out.items())
    console.print(
        f"{out}: {counted(info.utterances, 'utterance')} of {info.identity}, {info.seconds:.1f} s "
        f"from {counted(len(info.sources), 'recording')}, rights {info.rights}"
        + (f"; left out: {left}" if left else "")
    )
    for name, why in info.unread.items():
        console.warn(f"{name} was not used: {why}")
    if any(source.synthetic for source in info.sources):
        console.warn("a signature or a mark says that a model made some of these recordings")
