"""Exports a dataset as WebDataset shards: ``SPLIT-000000.tar`` with ``KEY.mp4``, ``KEY.json`` and ``KEY.mask.mkv``.

Clips are sorted by the digests of their ids: the order is reproducible and mixes classes and people, as streaming
readers need. Equal sets give equal bytes: no times, no owners.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shared.dataset.card import SPLIT_NAMES
from shared.dataset.formats.export_huggingface import facts_of
from shared.dataset.formats.exporting import Export
from shared.dataset.formats.registry import EXPORTERS
from shared.errors import storage_errors
from shared.storage import replacing
from shared.types import ClipRecord

# Two empty blocks, and the padding of the last record.
_END_BYTES = 2 * tarfile.BLOCKSIZE + tarfile.RECORDSIZE


@dataclass(frozen=True)
class _Sample:
    """The members of one clip: a file or bytes by name, and their size in a shard."""

    record: ClipRecord
    members: dict[str, Path | bytes]
    size: int


@EXPORTERS.register("webdataset")
def export_webdataset(export: Export) -> None:
    """Writes the shards of each split; ``assay-export.json`` lists the shard of each clip.

    Raises:
        ManifestError: see :class:`Export`.
        StorageError: writing failed.
    """
    for split, name in SPLIT_NAMES.items():
        records = [record for record in export.records if record.split == split]
        samples = (_sample(export, record) for record in sorted(records, key=_mixed))
        for number, shard in enumerate(_shards(samples, export.config.shard_bytes)):
            file = f"{name}-{number:06d}.tar"
            _write(export.out / file, shard)
            for sample in shard:
                export.files[str(sample.record.id)] = f"{file}:{key_of(sample.record)}"
                export.tick(1, note=str(sample.record.id))


def key_of(record: ClipRecord) -> str:
    """A clip's key: its id without dots and slashes, which have a meaning in shards, and a part of its digest."""
    plain = f"{record.id.manipulation or 'real'}-{record.id.name}".replace(".", "-")
    return f"{plain[:180]}-{_mixed(record)[:8]}"


def _mixed(record: ClipRecord) -> str:
    return hashlib.sha256(str(record.id).encode()).hexdigest()


def _sample(export: Export, record: ClipRecord) -> _Sample:
    key, media, mask = key_of(record), export.source(record), export.mask(record)
    members: dict[str, Path | bytes] = {f"{key}{PurePosixPath(record.path).suffix}": media}
    members[f"{key}.json"] = json.dumps(facts_of(record), sort_keys=True).encode()
    sidecar = media.with_suffix(".c2pa")
    if sidecar.is_file():
        members[f"{key}.c2pa"] = sidecar
    if mask is not None:
        members[f"{key}.mask{mask.suffix}"] = mask
    return _Sample(record, members, sum(_blocks(_length(content)) for content in members.values()))


def _shards(samples: Iterator[_Sample], limit: int) -> Iterator[list[_Sample]]:
    """Samples in shards of at most ``limit`` bytes; a larger sample has its own shard."""
    held: list[_Sample] = []
    size = _END_BYTES
    for sample in samples:
        if held and size + sample.size > limit:
            yield held
            held, size = [], _END_BYTES
        held.append(sample)
        size += sample.size
    if held:
        yield held


def _write(path: Path, shard: list[_Sample]) -> None:
    with replacing(path) as draft, storage_errors(path), tarfile.open(draft, "w", format=tarfile.GNU_FORMAT) as tar:
        for sample in shard:
            for name, content in sample.members.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = _length(content), 0o644
                if isinstance(content, bytes):
                    tar.addfile(info, io.BytesIO(content))
                else:
                    with content.open("rb") as file:
                        tar.addfile(info, file)


def _length(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _blocks(size: int) -> int:
    """Size of a tar member in bytes: header, two blocks and a header for its long name, and its content's blocks."""
    return 4 * tarfile.BLOCKSIZE + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
