"""``assay dataset``: make a labelled set, add real clips, show it, split it by person, verify it, sign it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from shared.commands.completion import finders, offered
from shared.commands.dataset_audit import audit
from shared.commands.dataset_export import export
from shared.commands.dataset_identity import identity as identity_command
from shared.commands.dataset_import import import_
from shared.commands.dataset_speech import audit_speech, verify_speech
from shared.commands.dataset_traces import traces
from shared.console import console, counted
from shared.dataset.splits import FRACTIONS
from shared.errors import AssayError, ManifestError, UsageError

if TYPE_CHECKING:
    from shared.dataset import DatasetFolder, Problem
    from shared.types import ClipRecord, Split
    from shared.video import Encoding
    from shared.video.unread import Unread

app = typer.Typer(help="Labelled sets of clips: splits by person, hashes, signatures.", no_args_is_help=True)

_Folder = Annotated[Path, typer.Argument(help="The dataset's folder.", show_default=False)]
_SHOWN = 30


@app.command()
def init(
    path: _Folder,
    name: Annotated[str, typer.Option(help="Name of the set, the first part of every clip's id.")] = "",
    description: Annotated[str, typer.Option(help="A sentence for the dataset card.")] = "",
    license_name: Annotated[str, typer.Option("--license", help="SPDX identifier, for example CC-BY-4.0.")] = "",
) -> None:
    """Makes an empty dataset.

    Example: assay dataset init sets/portraits --name portraits-1 --license CC-BY-4.0
    """
    from shared.dataset import DatasetFolder

    dataset = DatasetFolder.init(path, name or path.resolve().name, description, license_name)
    console.print(f"{path} is an empty dataset called {dataset.name}")
    console.result({"path": path, "name": dataset.name})


@app.command()
def add(
    path: _Folder,
    clips: Annotated[list[Path], typer.Argument(help="Real clips of one person.", show_default=False)],
    identity: Annotated[str, typer.Option(help="Person in the clips.")],
    rights: Annotated[str, typer.Option(help="Basis of use: consent, CC-BY-4.0, ...")],
    name: Annotated[str | None, typer.Option(help="Name of the clip; by default the file's.")] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help="Encoder, by default libx264.", show_default=False, autocompletion=offered(lambda: _codecs())
        ),
    ] = None,
    crf: Annotated[
        int | None, typer.Option(help="Quality, lower is better; 18 by default.", show_default=False)
    ] = None,
    finder: Annotated[
        str | None, typer.Option(help="Label faces with this finder (auto, dlib, ...).", autocompletion=finders)
    ] = None,
    audio: Annotated[bool, typer.Option(help="Keep the sound; leave it out if no container holds it.")] = True,
) -> None:
    """Adds real clips, re-encoded as fakes are, labelled and signed. Unreadable ones are reported.

    Example: assay dataset add sets/portraits ann-*.mp4 --identity ann --rights consent --crf 23
    """
    from shared.dataset import DatasetFolder, add_real_clip
    from shared.video.unread import Unread

    if name is not None and len(clips) > 1:
        raise UsageError("one name cannot be that of several clips", hint="add them one by one, or leave --name out")
    dataset = DatasetFolder.open(path)
    encoding = _encoding(codec, crf)
    face_finder = None
    if finder is not None:
        from shared.faces.finders.finder import make_finder

        face_finder = make_finder(finder)
    added: list[ClipRecord] = []
    unread = Unread()
    declared = _frames_in(clips, unread)
    with dataset.batch(), console.progress("adding", declared, unit="frame") as tick:
        for clip in clips:
            if clip in unread:
                continue
            tick(0, note=clip.name)
            with unread.passing_over(clip):
                record = add_real_clip(
                    dataset,
                    clip,
                    identity=identity,
                    rights=rights,
                    encoding=encoding,
                    name=name,
                    finder=face_finder,
                    tick=tick,
                    audio=audio,
                )
                added.append(record)
        unread.need_some(len(added))
    for record in added:
        short = record.factors.get("source_frames")
        frames = f"{short} frames" if short else counted(record.frames, "frame")
        console.print(f"{record.id}  {frames}  {record.width}x{record.height}  {record.rendition}")
    unread.say(len(added))
    console.result(
        {
            "added": [str(record.id) for record in added],
            "frames": {str(record.id): record.factors.get("source_frames", record.frames) for record in added},
            "unread": unread.reasons,
        }
    )


@app.command()
def show(path: _Folder) -> None:
    """Shows the content of a dataset: clips by split, label and manipulation, and the people.

    Example: assay dataset show sets/portraits
    """
    from shared.dataset import DatasetFolder
    from shared.dataset.splits import count_by, identity_groups

    dataset = DatasetFolder.open(path)
    records = dataset.records()
    kinds = sorted(count_by(records).items())
    people = Counter((name, record.split or "-") for record in records for name in record.identities)
    groups = identity_groups(records)
    frames = sum(record.frames for record in records)
    console.print(
        f"{dataset.name}: {counted(len(records), 'clip')}, {counted(frames, 'frame')}, "
        f"{counted(len(groups), 'group')} of people"
    )
    console.table("Clips", ["split", "label", "manipulation", "clips"], [(*key, count) for key, count in kinds])
    rows = [(name, split, count) for (name, split), count in sorted(people.items())]
    console.table("Identities", ["identity", "split", "clips"], rows[:_SHOWN])
    if len(rows) > _SHOWN:
        console.print(f"and {len(rows) - _SHOWN} more; --json lists all")
    console.result(
        {
            "name": dataset.name,
            "clips": len(records),
            "frames": frames,
            "counts": [
                {"split": split, "label": label, "manipulation": manipulation, "clips": count}
                for (split, label, manipulation), count in kinds
            ],
            "identities": [{"identity": name, "split": split, "clips": count} for name, split, count in rows],
            "groups": [list(group) for group in groups],
        }
    )


@app.command()
def verify(
    path: _Folder,
    quick: Annotated[bool, typer.Option("--quick", help="Lines, labels, splits and seal; no media.")] = False,
    signer: Annotated[str | None, typer.Option(help="Fingerprint of the required signer.")] = None,
) -> None:
    """Checks files, records, masks, labels, splits, signatures and signer. Ends with 1 if anything is wrong.

    Example: assay dataset verify sets/portraits
    """
    from shared.dataset import DatasetFolder, verify_dataset
    from shared.dataset.commit import sealer

    dataset = DatasetFolder.open(path)
    with console.progress("verifying", _length(dataset), unit="clip") as tick:
        problems = verify_dataset(path, deep=not quick, signer=signer, tick=tick)
    _show_problems(problems)
    errors = [problem for problem in problems if problem.severity == "error"]
    who = sealer(path)
    console.result(
        {
            "ok": not errors,
            "signer": who and who.signer,
            "fingerprint": who and who.fingerprint,
            "problems": [_plain(problem) for problem in problems],
        }
    )
    if errors and who and all(problem.kind == "signer" for problem in errors):
        console.print(f"{path} is as this signer sealed it")
        raise ManifestError(
            f"{path}: {'unknown signer' if signer is None else 'another signer'}, {who.signer}",
            hint="ask them for their fingerprint; if it is this one, assay dataset identity --trust FINGERPRINT",
        )
    if errors:
        raise ManifestError(
            f"{path}: {counted(len(errors), 'problem')} found",
            hint="restore changed files from a copy; assay dataset sign seals your own changes",
        )
    console.print(f"{path} is sound{', as far as lines and seal show' if quick else ''}, by {who and who.signer}")


@app.command()
def split(
    path: _Folder,
    train: Annotated[float, typer.Option(help="Share of clips for training.")] = FRACTIONS[0],
    val: Annotated[float, typer.Option(help="Share for choosing the model.")] = FRACTIONS[1],
    test: Annotated[float, typer.Option(help="Share for testing.")] = FRACTIONS[2],
    seed: Annotated[int, typer.Option(help="Seed of the order of equally large groups.")] = 0,
    group: Annotated[
        list[str] | None, typer.Option(help="People of a split: train=ann,bob; once for each split.")
    ] = None,
) -> None:
    """Splits by person: people linked by a clip are in the same split.

    Example: assay dataset split sets/portraits --train 0.6 --val 0.2 --test 0.2 --seed 7

    Example: assay dataset split sets/portraits --group train=ann,bob --group test=cleo,dan
    """
    from shared.dataset import DatasetFolder

    dataset = DatasetFolder.open(path)
    by_hand = _groups(group or [])
    records = dataset.assign_groups(by_hand) if by_hand else dataset.assign_splits((train, val, test), seed=seed)
    counts = Counter(record.split or "-" for record in records)
    people = {name: sorted({who for r in records if r.split == name for who in r.identities}) for name in counts}
    rows = [(name, count, len(people[name]), ", ".join(people[name][:8])) for name, count in counts.items()]
    console.table("Splits", ["split", "clips", "identities", "who"], rows)
    console.result({"clips": counts, "identities": people})


@app.command()
def sign(path: _Folder) -> None:
    """Seals the current state of the set: after a manual change that you checked with verify.

    Example: assay dataset sign sets/portraits
    """
    from shared.dataset import DatasetFolder
    from shared.provenance.identity import SigningIdentity

    dataset = DatasetFolder.open(path)
    dataset.seal()
    identity = SigningIdentity.load_or_create()
    console.print(f"{path} is sealed by {identity.name}, fingerprint {identity.fingerprint}")
    console.result({"signer": identity.name, "fingerprint": identity.fingerprint, "clips": len(dataset)})


@app.command()
def remove(
    path: _Folder,
    clips: Annotated[list[str], typer.Argument(help="Ids of clips, as show --json and verify print them.")],
) -> None:
    """Removes clips and their files from a set: when consent is withdrawn, or a clip proves unfit.

    Example: assay dataset remove sets/portraits portraits-1/real/ann-01@h264-crf18
    """
    from shared.dataset import DatasetFolder
    from shared.types import ClipId

    try:
        ids = [ClipId.parse(text) for text in clips]
    except ValueError as error:
        raise UsageError(str(error), hint="for example portraits-1/real/ann-01@h264-crf18") from error
    dataset = DatasetFolder.open(path)
    dataset.remove(ids)
    console.print(f"{counted(len(ids), 'clip')} removed, {len(dataset)} left")
    console.result({"removed": clips, "left": len(dataset)})


app.command()(audit)
app.command()(traces)
app.command("identity")(identity_command)
app.command("import")(import_)
app.command()(export)
app.command("audit-speech")(audit_speech)
app.command("verify-speech")(verify_speech)


def _codecs() -> tuple[str, ...]:
    from shared.video.encoding import CodecName

    return get_args(CodecName)


def _encoding(codec: str | None, crf: int | None) -> Encoding:
    from shared.config import from_mapping, to_mapping
    from shared.video import Encoding

    given = {key: value for key, value in {"codec": codec, "crf": crf}.items() if value is not None}
    return from_mapping(Encoding, to_mapping(Encoding()) | given, where="encoding")


def _frames_in(clips: list[Path], unread: Unread) -> int | None:
    """Total of declared frames; None if a clip declares none. Unreadable files are noted before the work."""
    from shared.video import probe

    declared: list[int | None] = []
    for clip in clips:
        with unread.passing_over(clip):
            declared.append(probe(clip).frames_declared)
    unread.need_some(len(declared))
    return None if None in declared else sum(count or 0 for count in declared)


def _groups(options: list[str]) -> dict[Split, list[str]]:
    """``train=a,b`` options as a mapping."""
    groups: dict[Split, list[str]] = {}
    for option in options:
        name, equals, people = option.partition("=")
        if not equals or name not in ("train", "val", "test") or name in groups:
            raise UsageError(f"--group {option!r} is not understood", hint="--group train=ann,bob, once for each split")
        groups[name] = [who.strip() for who in people.split(",") if who.strip()]
    return groups


def _length(dataset: DatasetFolder) -> int | None:
    """Number of clips to check; None when the manifest cannot be read."""
    try:
        return len(dataset)
    except AssayError:
        return None


def _show_problems(problems: list[Problem]) -> None:
    if problems:
        rows = [(p.severity, p.kind, p.clip or "", p.message) for p in problems[:_SHOWN]]
        console.table("Problems", ["", "kind", "clip", "what"], rows)
    if len(problems) > _SHOWN:
        console.print(f"and {len(problems) - _SHOWN} more; --json lists all")


def _plain(problem: Problem) -> dict[str, object]:
    clip = None if problem.clip is None else str(problem.clip)
    return {"severity": problem.severity, "kind": problem.kind, "clip": clip, "message": problem.message}
