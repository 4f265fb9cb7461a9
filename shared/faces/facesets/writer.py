"""Writing facesets: face by face, in bounded memory, atomically."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from shared.config import write_toml
from shared.console import counted
from shared.errors import FacesetError, NoFaceError, UsageError
from shared.faces.facesets.layout import CROPS, SCHEMA, SETTINGS, TABLE, FaceRow, FacesetInfo, SourceClip, crop_name
from shared.storage import replacing_folder
from shared.types import Framing

SetAside = Callable[[pa.RecordBatch], Sequence[str]]
"""For each row of a batch the reason why it is set aside; an empty text if it is kept."""

_ROWS_A_GROUP = 1024
_DRAFT = "faces.draft.parquet"


def check_target(path: Path, *, force: bool) -> None:
    """Refuses to overwrite anything but a faceset, or, without ``force``, anything.

    Raises:
        UsageError: ``path`` is taken.
    """
    if not path.exists() and not path.is_symlink():
        return
    if path.is_dir() and not any(path.iterdir()):
        return
    if not (path / SETTINGS).is_file():
        raise UsageError(f"{path} is there and is not a faceset", hint="choose another --out")
    if not force:
        raise UsageError(f"{path} is there already", hint="choose another --out, or --force to replace it")


class FacesetWriter:
    """Writes one faceset; a context manager.

    The folder is replaced when the block ends without error.

    Attributes:
        path: of the faceset.
        clips: the source clips; fill in before the block ends.
        select: selects the kept faces at the end, over the rows in batches; None keeps the rows unchanged.
        unread: clips that could not be read, with the reason; fill in before the block ends.
        info: of the written faceset, once the block has ended without error.

    Raises:
        UsageError: on entering: ``path`` is taken.
        NoFaceError: on leaving: no face was added.
        StorageError: writing failed.
    """

    def __init__(
        self,
        path: Path,
        *,
        identity: str,
        rights: str,
        finder: dict[str, str],
        framing: Framing,
        px: int,
        embedder: str = "",
        drawn_by: str = "",
        force: bool = False,
    ) -> None:
        self.path = path
        self.clips: list[SourceClip] = []
        self.set_aside_reasons: SetAside | None = None
        self.unread: dict[str, str] = {}
        self.info: FacesetInfo | None = None
        self._facts = FacesetInfo(identity, rights, (), finder, framing, px, 0, 0, embedder=embedder, drawn_by=drawn_by)
        self._force = force
        self._waiting: list[FaceRow] = []
        self._rows = 0
        self._crops = 0
        self._crops_digest = hashlib.sha256()
        self._folder = path
        self._table: pq.ParquetWriter | None = None
        self._session: AbstractContextManager[None] | None = None

    def __enter__(self) -> FacesetWriter:
        self._session = self._open()
        self._session.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.__exit__(kind, error, traceback)

    def add(self, row: FaceRow, png: bytes) -> int:
        """Adds a face with its encoded crop (see :func:`encode_crop`); returns its row number.

        Raises:
            FacesetError: the writer is not open.
            StorageError: writing failed; raised where the block ends.
        """
        self.add_row(row)
        return self.add_crop(png)

    def add_crop(self, png: bytes) -> int:
        """Adds only the crop of a face, if rows come later than crops; both in the same order."""
        self._opened()
        number = self._crops
        (self._folder / crop_name(number)).write_bytes(png)
        self._crops_digest.update(png)
        self._crops += 1
        return number

    def add_row(self, row: FaceRow) -> None:
        """Adds only the row of a face."""
        table = self._opened()
        self._waiting.append(row)
        self._rows += 1
        if len(self._waiting) >= _ROWS_A_GROUP:
            self._flush(table)

    def _opened(self) -> pq.ParquetWriter:
        if self._table is None:
            raise FacesetError("the faceset is not open for writing", hint="use FacesetWriter in a with block")
        return self._table

    @contextmanager
    def _open(self) -> Iterator[None]:
        check_target(self.path, force=self._force)
        with replacing_folder(self.path, over=self._force) as folder:
            self._folder = folder
            (folder / CROPS).mkdir()
            draft = folder / _DRAFT
            with pq.ParquetWriter(draft, SCHEMA) as table:
                self._table = table
                try:
                    yield
                finally:
                    self._table = None
                self._flush(table)
            if self._rows != self._crops:
                raise FacesetError(f"{self._rows} rows do not fit {self._crops} crops", hint="add one of each per face")
            if not self._rows:
                raise NoFaceError(
                    _nothing_found(self.clips, self.path),
                    hint="try --finder yunet or mtcnn, or a clip with larger faces",
                )
            self.info = self._finish(draft, folder)

    def _flush(self, table: pq.ParquetWriter) -> None:
        if self._waiting:
            table.write_batch(pa.RecordBatch.from_pylist([row.to_mapping() for row in self._waiting], schema=SCHEMA))
            self._waiting = []

    def _finish(self, draft: Path, folder: Path) -> FacesetInfo:
        """Selects the rows, writes the final table and the settings, removes the draft."""
        reasons: Counter[str] = Counter()
        with pq.ParquetFile(draft) as rows, pq.ParquetWriter(folder / TABLE, SCHEMA) as table:
            for batch in rows.iter_batches(batch_size=_ROWS_A_GROUP):
                table.write_batch(self._selected(batch, reasons))
        draft.unlink()
        set_aside = {reason: count for reason, count in sorted(reasons.items()) if reason}
        info = FacesetInfo(
            self._facts.identity,
            self._facts.rights,
            tuple(self.clips),
            self._facts.finder,
            self._facts.framing,
            self._facts.px,
            faces=self._rows,
            kept=self._rows - sum(set_aside.values()),
            crops_sha256=self._crops_digest.hexdigest(),
            embedder=self._facts.embedder,
            set_aside=set_aside,
            drawn_by=self._facts.drawn_by,
            unread=self.unread,
        )
        write_toml(folder / SETTINGS, info)
        return info

    def _selected(self, batch: pa.RecordBatch, reasons: Counter[str]) -> pa.RecordBatch:
        if self.set_aside_reasons is None:
            verdicts = ["" if kept else "set aside" for kept in batch.column("kept").to_pylist()]
        else:
            verdicts = list(self.set_aside_reasons(batch))
        reasons.update(verdicts)
        kept = pa.array([not verdict for verdict in verdicts], pa.bool_())
        columns = [kept if name == "kept" else batch.column(name) for name in SCHEMA.names]
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _nothing_found(clips: Sequence[SourceClip], path: Path) -> str:
    frames = sum(clip.frames_read for clip in clips)
    names = ", ".join(clip.name for clip in clips) or "nothing"
    return f"no face in {counted(frames, 'frame')} of {names}; {path} was not written"
