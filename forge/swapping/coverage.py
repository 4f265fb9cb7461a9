"""How much of a clip was swapped: frames swapped, frames that show the chosen person, frames read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from forge.swapping.plan import SwapPlan
from shared.console import console, counted

_LOW_SHARE = 0.5


@dataclass(frozen=True)
class SwapCoverage:
    """Numbers of frames.

    Attributes:
        swapped: hold a forged pixel.
        seen: show the chosen person, bridged frames included.
        read: of the clip.
        bridged: show the chosen person by interpolated landmarks.
        unsure: show a face that may be the chosen person's, but not for sure, and is left as it is.
        unswapped: show the chosen person, are to be swapped, and hold no forged pixel.
        others: show nothing but faces of others, those that are unsure included.
        in_segments: are to be swapped in.
    """

    swapped: int
    seen: int
    read: int
    bridged: int = 0
    unsure: int = 0
    unswapped: int = 0
    others: int = 0
    in_segments: int = 0

    @classmethod
    def of(cls, plan: SwapPlan, faked: Collection[int]) -> SwapCoverage:
        """The numbers of a swap by ``plan`` in which the frames ``faked`` got a forged pixel."""
        seen, faked = set(plan.seen_frames), set(faked)
        return cls(
            swapped=len(faked),
            seen=len(seen),
            read=plan.frames,
            bridged=len(plan.bridged),
            unsure=len(plan.unsure),
            unswapped=len(set(plan.swapped_frames) - faked),
            others=len(plan.faces.keys() - seen),
            in_segments=sum(plan.in_segments(frame) for frame in range(plan.frames)),
        )

    @property
    def warnings(self) -> list[str]:
        """What a user should know of frames that were left as they are; empty where all is well."""
        found: list[str] = []
        if self.unswapped:
            found.append(f"{self.unswapped} of {self.seen} frames that show the person hold no swapped pixel")
        if self.unsure:
            found.append(
                f"{counted(self.unsure, 'frame')} with a face that may be the same person's left unchanged; "
                "a larger same_distance in a --config file, or --face all, swaps it too"
            )
        if self.swapped < _LOW_SHARE * self.in_segments:
            none = self.read - self.seen - self.others
            found.append(
                f"only {self.swapped} of {self.in_segments} frames are swapped: {self.seen} show the person, "
                f"{self.others} only others, {none} no face"
            )
        return found

    def warn(self, target: Path) -> None:
        """Says the warnings on the console."""
        for warning in self.warnings:
            console.warn(f"{target}: {warning}")

    def factors(self) -> dict[str, str]:
        """As a record holds it."""
        factors = {"frames_seen": str(self.seen)}
        factors |= {"frames_bridged": str(self.bridged)} if self.bridged else {}
        factors |= {"frames_unsure": str(self.unsure)} if self.unsure else {}
        return factors | ({"warnings": "; ".join(self.warnings)} if self.warnings else {})
