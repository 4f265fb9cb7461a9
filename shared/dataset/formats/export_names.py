"""Target and source footage of clips, by which other layouts name them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from shared.types import ClipId, ClipRecord

Key = tuple[str, str]


class Footage:
    """Finds the real footage of clips, as (person, name without the rendition).

    Args:
        records: of the whole set.
    """

    def __init__(self, records: Iterable[ClipRecord]) -> None:
        self._records: dict[ClipId, ClipRecord] = {record.id: record for record in records}
        self._of_person: dict[str, set[str]] = defaultdict(set)
        for record in self._records.values():
            if record.label == "real":
                self._of_person[record.target_identity].add(stem_of(record))

    def target(self, record: ClipRecord) -> Key:
        """The target footage of ``record``: its own, its parent's, else any of the person."""
        root, seen = record, {record.id}
        while root.label != "real" and root.parent in self._records and root.parent not in seen:
            root = self._records[root.parent]
            seen.add(root.id)
        if root.label == "real":
            return (root.target_identity, stem_of(root))
        return self._any(record.target_identity)

    def source(self, record: ClipRecord) -> Key:
        """Footage of the source person; the target's for a self-swap or a clip without a source."""
        if record.source_identity in (None, record.target_identity):
            return self.target(record)
        return self._any(str(record.source_identity))

    def _any(self, person: str) -> Key:
        return (person, min(self._of_person.get(person, {""})))


def stem_of(record: ClipRecord) -> str:
    """A clip's name without its rendition: ``ann@h264-crf18`` and ``ann@h264-crf40`` are one footage."""
    return record.id.name.partition("@")[0]
