"""Builds modules without memory for their weights and without filling them with random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from typing_extensions import override

_FILLS = frozenset({"uniform_", "normal_", "trunc_normal_"})
"""Functions of tensors and of ``torch.nn.init`` that are skipped: on the meta device they import half of torch."""


class _NoFills(TorchFunctionMode):
    @override
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__name__", "") in _FILLS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


@contextmanager
def unfilled() -> Iterator[None]:
    """Modules made in this block are on the meta device: they have names, shapes and types, and no values."""
    with torch.device("meta"), _NoFills():
        yield
