"""``assay detect folds``."""

from __future__ import annotations

from typing import Annotated

import typer

from detect.commands.options import DatasetArgument
from shared.commands.completion import words
from shared.console import console
from shared.errors import UsageError

_KINDS = ("manipulation", "group", "rendition")


def folds(
    dataset: DatasetArgument,
    by: Annotated[
        str, typer.Option(help=f"What is left out in turn: {', '.join(_KINDS)}.", autocompletion=words(*_KINDS))
    ] = "manipulation",
) -> None:
    """Lists the folds of a leave-one-out evaluation: training clips, test clips, commands.

    A group is a person and everybody linked to that person by a clip.

    Example: assay detect folds set/ --by group
    """
    from detect.data.protocols import fold_commands, folds_by
    from shared.dataset import DatasetFolder

    if by not in _KINDS:
        raise UsageError(f"nothing is left out by {by!r}", hint=", ".join(_KINDS))
    found = folds_by(DatasetFolder.open(dataset).records(), by)
    documents = []
    for fold in found:
        train, evaluate = fold_commands(fold, by, str(dataset))
        fakes = sum(record.label == "fake" for record in fold.test)
        counts = {"learns_from": len(fold.train), "judged_by_real": len(fold.test) - fakes, "judged_by_fake": fakes}
        documents.append({"left_out": fold.name, **counts, "train": train, "evaluate": evaluate})
    rows = [[document[key] for key in list(documents[0])[:4]] for document in documents]
    console.table(f"Leaving out by {by}, clips", ["left out", "trained on", "tested on: real", "fake"], rows)
    for document in documents:
        console.print(f"{document['train']}\n{document['evaluate']}", wrap=False)
    console.result({"by": by, "folds": documents})
