"""One line of what ``assay doctor`` reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``advice`` is empty when nothing is to be done; "broken" makes the command fail."""

    area: str
    what: str
    state: State
    detail: str
    advice: str = ""
