"""Parquet tables of the folder, decoded in a process of its own with limits on memory and time.

A footer tells how much a table holds, but each page has a header that may claim more, which only the decoder reads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import closing
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.dataset.frame_table import read_frame_table
from shared.errors import AssayError, CaseError, MediaError
from shared.faces.facesets.reader import read_table
from shared.faces.finders.sidecar import read_sidecar
from shared.results.regions import MOST_REGIONS, REGION_SCHEMA
from shared.types import NUM_LANDMARKS, ClipId
from shared.video.child import Child, ChildLimits
from shared.video.child_process import Pipe
from shared.video.container import need_file

T = TypeVar("T")

_LIMITS = ChildLimits(memory_gb=3.0, silence_seconds=30.0, cpu_seconds=60.0)
_DECODERS = threading.BoundedSemaphore(2)
"""Processes that decode at once, each with the memory of the limits; further requests wait."""
MOST_BYTES = 512 << 20
"""Of a decoded table that the page takes."""
_MAX_CASE_BYTES = 256 << 20
_MOST_CASE_ROWS = 300_000
_POINTS = 2 * NUM_LANDMARKS
_CASE_COLUMNS = {
    "frame": (pa.int32(), 1),
    "seconds": (pa.float64(), 1),
    "track": (pa.int32(), 1),
    "logit": (pa.float32(), 1),
    "box": (pa.list_(pa.float32(), 4), 4),
    "landmarks": (pa.list_(pa.float32(), _POINTS), _POINTS),
}
"""Type of each column of a case that is read, and how many values a row of it has at most."""
_HINT = "inspect the file again, or restore the case from a copy"


class Kept(Generic[T]):
    """What was made of decoded tables: the one used longest ago goes first. Safe for several threads.

    Args:
        size: bytes of a value.
        most_bytes: of all values; the last one made is kept even if it is larger.
    """

    def __init__(self, size: Callable[[T], int], most_bytes: int = MOST_BYTES) -> None:
        self._size, self._most_bytes = size, most_bytes
        self._values: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock, self._making = threading.Lock(), threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of ``key``, made if it is not kept; of several who want it at once, the first makes it."""
        found = self._find(key)
        if found is None:
            with self._making:
                found = self._find(key) or self._keep(key, make())
        return found[0]

    def _find(self, key: Hashable) -> tuple[T, int] | None:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def _keep(self, key: Hashable, value: T) -> tuple[T, int]:
        with self._lock:
            kept = self._values[key] = value, self._size(value)
            while len(self._values) > 1 and sum(size for _, size in self._values.values()) > self._most_bytes:
                self._values.popitem(last=False)
            return kept


def decoded_apart(
    path: Path,
    function: Callable[..., None],
    *arguments: str | int,
    error: type[AssayError],
    hint: str = "restore it from a copy",
) -> pa.Table:
    """The table that ``function(pipe, path, *arguments)``, one of this module, sends from a process of its own.

    Raises:
        AssayError: of the type ``error``: the function raised it, or the process exceeded a limit or died.
    """
    try:
        need_file(path)
        with _DECODERS, Child(path, _LIMITS) as child, closing(child.stream(function, *arguments)) as messages:
            body = next((body for kind, _, body in messages if kind == "table"), None)
        if body is None:
            raise error(f"{path} cannot be read: its decoder sent no table", hint=hint)
        table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
        table.validate(full=True)
    except MediaError as refused:
        raise error(str(refused), hint=hint) from refused
    except (OSError, pa.ArrowException) as broken:
        raise error(f"{path} cannot be read: {broken}", hint=hint) from broken
    return table


def send_case(pipe: Pipe, path: Path) -> None:
    """Sends the scored faces of a case; see :func:`case_table`."""
    _send(pipe, path, case_table(path))


def send_regions(pipe: Pipe, path: Path) -> None:
    """Sends the maps that a detector drew of the scored faces of a case."""
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MOST_REGIONS or not file.schema_arrow.equals(REGION_SCHEMA):
                raise CaseError(f"{path} holds no maps of the page's size", hint=_HINT)
            table = file.read()
    except (OSError, pa.ArrowException) as error:
        raise CaseError(f"{path} cannot be read: {error}", hint=_HINT) from error
    _send(pipe, path, table)


def send_faceset(pipe: Pipe, path: Path, faces: int) -> None:
    """Sends the table of a faceset that says it has ``faces``."""
    _send(pipe, path, read_table(path, faces))


def send_labels(pipe: Pipe, path: Path, clip: str) -> None:
    """Sends the frame labels of one clip of a set."""
    _send(pipe, path, read_frame_table(path, [ClipId.parse(clip)]))


def send_landmarks(pipe: Pipe, path: Path) -> None:
    """Sends the landmarks beside a clip: ``frame`` and ``landmarks``, a row a face."""
    points, rows = read_sidecar(path)
    order = [(frame, row) for frame, found in rows.items() for row in found]
    flat = np.ascontiguousarray(points[[row for _, row in order]]).reshape(-1)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), _POINTS)
    _send(pipe, path, pa.table({"frame": pa.array([frame for frame, _ in order], pa.int64()), "landmarks": lists}))


def case_table(path: Path) -> pa.Table:
    """The columns of ``frames.parquet`` of a case that the page shows, in order of frames and tracks.

    Raises:
        CaseError: it is damaged or too large.
    """
    try:
        with pq.ParquetFile(path) as file:
            facts = file.metadata
            unpacked = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
            if max(path.stat().st_size, unpacked) > _MAX_CASE_BYTES or facts.num_rows > _MOST_CASE_ROWS:
                raise CaseError(f"{path} is too large for the page", hint="read it with another program")
            table = file.read(_wanted(file))
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        why = (str(error).splitlines() or ["it is damaged"])[0]
        raise CaseError(f"{path} cannot be read: {why}", hint=_HINT) from error
    return table.sort_by([("frame", "ascending"), ("track", "ascending")])


def _wanted(file: pq.ParquetFile) -> list[str]:
    """The columns to read; tables of the first format have no landmarks.

    A small file can unpack to a great many values in a row, so they are counted before anything is unpacked.

    Raises:
        ValueError: a column is missing, of another type, or has more values than its rows can have.
    """
    schema = file.schema_arrow
    names = [name for name in _CASE_COLUMNS if name != "landmarks" or name in schema.names]
    for name in names:
        kind, _ = _CASE_COLUMNS[name]
        if schema.names.count(name) != 1 or schema.field(name).type != kind:
            raise ValueError(f"its column {name} is not of the type {kind}")
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        for chunk in (group.column(each) for each in range(group.num_columns)):
            name = chunk.path_in_schema.split(".")[0]
            if name in names and chunk.num_values > _CASE_COLUMNS[name][1] * group.num_rows:
                raise ValueError(f"its column {name} has more values than its rows can have")
    return names


def _send(pipe: Pipe, path: Path, table: pa.Table) -> None:
    if table.nbytes > MOST_BYTES:
        raise MediaError(f"{path} unpacks to more than {MOST_BYTES >> 20} MiB", hint="read it with another program")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    pipe.send("table", None, sink.getvalue())
