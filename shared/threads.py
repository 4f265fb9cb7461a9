"""How many threads one piece of work may use: sums over other numbers of threads differ in their last bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch


@contextmanager
def with_threads(threads: int) -> Iterator[None]:
    """Sets how many threads torch and OpenCV split sums over, in this process; put back afterwards.

    A task of an engine runs with one, so that its result does not depend on the machine it ran on, and so that as many
    tasks as there are cores do not get in each other's way.
    """
    before, cv_before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(cv_before)
