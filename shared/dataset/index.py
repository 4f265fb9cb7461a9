"""The manifest in memory, read again only when the file has changed."""

from __future__ import annotations

from pathlib import Path

from shared.dataset.files import files_of
from shared.dataset.manifest import append_record, read_manifest
from shared.types import ClipId, ClipRecord


class ManifestIndex:
    """Records of a manifest file by id and by their files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key: tuple[int, int, int] | None = None
        self._records: dict[ClipId, ClipRecord] = {}
        self._owners: dict[str, ClipId] = {}

    def records(self) -> dict[ClipId, ClipRecord]:
        """All records by id, in the order of their lines.

        Raises:
            ManifestError: the manifest is damaged; names the line.
        """
        key = self._file_key()
        if key is None or key != self._key:
            self._records, self._owners = {}, {}
            for record in read_manifest(self.path, partial_tail_ok=True):
                self._hold(record)
            self._key = key
        return self._records

    def owner(self, relative: str) -> ClipId | None:
        """The listed clip that has the file ``relative``; None if there is none."""
        self.records()
        return self._owners.get(relative)

    def append(self, record: ClipRecord) -> None:
        """Appends a line to the file; the caller holds the dataset's lock.

        Raises:
            StorageError: writing failed.
        """
        self.records()
        append_record(self.path, record)
        self._hold(record)
        self._key = self._file_key()

    def _hold(self, record: ClipRecord) -> None:
        self._records[record.id] = record
        for relative in files_of(record):
            self._owners[relative] = record.id

    def _file_key(self) -> tuple[int, int, int] | None:
        """A key that changes with the file; None if there is no file."""
        try:
            facts = self.path.stat()
        except OSError:
            return None
        return (facts.st_ino, facts.st_size, facts.st_mtime_ns)
