"""Sets whose clips all carry one mark: no clip without it joins them."""

from __future__ import annotations

from shared.dataset.folder import DatasetFolder
from shared.errors import UsageError
from shared.provenance.read import read_provenance


def need_unmarked_set(dataset: DatasetFolder) -> None:
    """Refuses a set whose clips are marked: an unmarked clip in one class would tell the classes apart.

    The signature of the first listed clip says whether they are, because a build marks all clips or none.

    Raises:
        UsageError: they are.
        ProvenanceError: the signature cannot be read.
    """
    first = next(iter(dataset.records()), None)
    path = None if first is None else dataset.media_path(first)
    known = read_provenance(path) if path is not None and path.is_file() else None
    if known is not None and known.bindings:
        raise UsageError(
            f"the clips of {dataset.path} carry a mark, and one without it would stand out",
            hint='add it to the build of the set, with mark = "both", or to another set',
        )
