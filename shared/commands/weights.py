"""``assay weights``: lists, downloads, imports and verifies pretrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.commands.completion import offered
from shared.console import console
from shared.errors import UsageError, WeightsError

app = typer.Typer(help="Pretrained weights: list, download, import, verify.")

_Names = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names as in `assay weights list`; by default all.",
        show_default=False,
        autocompletion=offered(lambda: _known()),
    ),
]


def _known() -> list[str]:
    from shared import weights

    return weights.names()


@app.command("list")
def list_weights() -> None:
    """Lists all weight files that Assay can use: whether installed, licence, how to get them.

    Example: assay weights list
    """
    from shared import weights

    rows = [_row(name) for name in weights.names()]
    console.table(
        "Weights",
        ["name", "here", "size", "for", "licence"],
        [(row["name"], row["place"] or "no", row["size"], row["purpose"], row["license"]) for row in rows],
    )
    for row in rows:
        if not row["place"]:
            console.print(f"{row['name']}: {row['advice']}")
    console.result({"folder": str(weights.weights_home()), "weights": rows})


@app.command()
def fetch(
    names: _Names = None,
    all_missing: Annotated[bool, typer.Option("--all", help="Everything that can be downloaded.")] = False,
    timeout_seconds: Annotated[float, typer.Option(min=1, help="Timeout of one read.")] = 15.0,
) -> None:
    """Downloads weights over HTTPS and checks their hashes; installed files are left alone.

    Example: assay weights fetch s3fd 2dfan4
    """
    from shared import weights

    if not names and not all_missing:
        raise UsageError("name what to fetch, or give --all", hint="assay weights list shows the names")
    if not names:
        names = [name for name in weights.names() if weights.entry_named(name).url is not None]
    entries = [weights.entry_named(name) for name in names]
    done: dict[str, str] = {}
    failed: list[WeightsError] = []
    with console.progress("fetching weights", len(entries), unit="file") as tick:
        for entry in entries:
            # One failed server must not block the others.
            try:
                done[entry.name] = str(weights.fetch(entry.name, timeout_seconds=timeout_seconds))
            except WeightsError as error:
                failed.append(error)
            tick(note=entry.name)
    for name, path in done.items():
        console.print(f"{name}: {path}")
    console.result({"fetched": done, "failed": [str(error) for error in failed]})
    if failed:
        reasons = "; ".join(str(error) for error in failed)
        raise WeightsError(f"{len(failed)} of {len(entries)} not fetched: {reasons}", hint=failed[0].hint)


@app.command("import")
def import_weights(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders to search through.", show_default=False)],
) -> None:
    """Copies weights from another machine into the cache. They are recognised by hash, not by name.

    Example: assay weights import /media/stick/weights
    """
    from shared import weights

    with console.progress("hashing", None, unit="file"):
        copied = weights.import_files(paths)
    if not copied:
        raise WeightsError(
            "none of the files given is one that Assay knows", hint="assay weights list shows what can be used"
        )
    for path, entry in copied:
        console.print(f"{entry.name}: copied from {path}")
    console.result({"folder": str(weights.weights_home()), "imported": {entry.name: str(p) for p, entry in copied}})


@app.command()
def verify(names: _Names = None) -> None:
    """Checks the hash of every installed file. Ends with 1 if one is damaged, or a named one is missing.

    Example: assay weights verify
    """
    from shared import weights

    wanted = names or weights.names()
    found = [weights.status(name) for name in wanted]
    here = [status for status in found if status.state != "missing"]
    console.table(
        "Installed weights",
        ["name", "state", "where"],
        [(status.entry.name, status.state, status.path) for status in here],
    )
    console.result({"weights": {status.entry.name: status.state for status in found}})
    damaged = [status for status in found if status.state == "damaged"]
    absent = [status for status in found if names and status.state == "missing"]
    for status in damaged or absent:
        raise WeightsError(f"the weights {status.entry.name!r} are {status.state}", hint=status.advice)


def _row(name: str) -> dict[str, str]:
    """One row of the list. It only checks that the file exists; ``verify`` checks the hash."""
    from shared import weights

    entry = weights.entry_named(name)
    found = weights.find_with_place(name)
    return {
        "name": name,
        "place": "" if found is None else found[1],
        "path": "" if found is None else str(found[0]),
        "size": "?" if entry.size_bytes is None else f"{entry.size_bytes / 1e6:.1f} MB",
        "sha256": entry.sha256,
        "purpose": entry.purpose,
        "license": entry.license,
        "advice": "" if found else weights.advice_for(entry),
    }
