"""Queue of rows for identity embeddings, computed in batches in a separate thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from shared.faces.facesets.layout import FaceRow
from shared.faces.identity import IdentityEmbedder

_BATCH = 16
_MOST_HELD = 1024


class EmbeddingQueue:
    """Passes rows on in order, those with a chip with their embedding; a context manager.

    A batch is embedded in a thread while the next one is collected; at most two batches, or about two thousand rows,
    wait. When the block ends without error all rows have been passed on.
    """

    def __init__(self, embedder: IdentityEmbedder | None, pass_on: Callable[[FaceRow], None]) -> None:
        self._embedder = embedder
        self._pass_on = pass_on
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="assay-embed")
        self._rows: list[tuple[FaceRow, bool]] = []
        self._chips: list[np.ndarray] = []
        self._under_way: tuple[list[tuple[FaceRow, bool]], Future[np.ndarray]] | None = None

    def __enter__(self) -> EmbeddingQueue:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._pool.shutdown(cancel_futures=True)

    def put(self, row: FaceRow, chip: np.ndarray | None) -> None:
        """Adds the next row; ``chip`` (S, S, 3) uint8 is the embedder's input, None for no embedding.

        Raises:
            Any error of embedding an earlier batch or passing on its rows.
        """
        self._rows.append((row, chip is not None))
        if chip is not None:
            self._chips.append(chip)
        if len(self._chips) >= _BATCH or len(self._rows) >= _MOST_HELD:
            self._start()

    def finish(self) -> None:
        """Passes on all waiting rows."""
        self._start()
        self._settle()

    def _start(self) -> None:
        self._settle()
        rows, chips = self._rows, self._chips
        self._rows, self._chips = [], []
        if chips and self._embedder is not None:
            self._under_way = rows, self._pool.submit(self._embedder.embed_chips, np.stack(chips))
        else:
            for row, _ in rows:
                self._pass_on(row)

    def _settle(self) -> None:
        if self._under_way is None:
            return
        (rows, future), self._under_way = self._under_way, None
        embeddings = iter(future.result())
        for row, has_chip in rows:
            self._pass_on(replace(row, embedding=next(embeddings)) if has_chip else row)
