"""The record of a fake and the label of each of its frames: the same for a clip, a folder of pictures, and a build."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import shared
from forge.swapping.config import setting_factors
from forge.swapping.flicker import FlickerMeter
from forge.swapping.plan import SwapPlan
from forge.swapping.request import FakeRequest, SwapRequest
from forge.swapping.restore import restorer_digest
from forge.swapping.squares import fitted_config
from forge.swapping.stages import CompositedFrame
from forge.swapping.super_resolution import enlarge_digest
from shared import config as settings
from shared.console import console, counted
from shared.dataset.excerpts import TARGET_FRAMES
from shared.errors import NoFaceError
from shared.provenance.types import Action
from shared.sampling import runs_of
from shared.types import ClipId, ClipRecord, FrameLabel, Kind, Masks

UNSIGNED = "0" * 64
"""Stands for the SHA-256 of a file that is still to be signed."""


class FileFacts(TypedDict):
    """The facts of a finished file that a record holds; ``size`` is width and height."""

    finder: str
    path: str
    frames: int
    size: tuple[int, int]
    codec: str
    masks: Masks | None
    factors: Mapping[str, str]


@dataclass
class SwapOutcome:
    """Measurements of a swap, collected frame by frame.

    Attributes:
        faked: indices of the frames that hold a forged pixel, ascending.
        alpha_instead: faces that were to be blended by Poisson and were too small for it.
        flicker: measures how much the swapped face flickers; None where that is not measured.
    """

    faked: list[int] = field(default_factory=list)
    alpha_instead: int = 0
    flicker: FlickerMeter | None = None

    def take(self, done: CompositedFrame) -> None:
        """The next finished frame."""
        if done.masks.any_changed:
            self.faked.append(done.frame.index)
        self.alpha_instead += done.alpha_instead
        if self.flicker is not None:
            self.flicker.take(done)

    def need_faked(self, target: Path, kind: str = "swap") -> None:
        """Refuses a fake that left ``target`` as it was; warns of faces that were blended otherwise than asked for.

        Raises:
            NoFaceError: no frame holds a forged pixel.
        """
        if not self.faked:
            settings_of = "mask" if kind == "swap" else "region and strength"
            raise NoFaceError(f"the {kind} changed no pixel of {target}", hint=f"look at the {settings_of} settings")
        if self.alpha_instead:
            console.warn(
                f"{counted(self.alpha_instead, 'face')} too small for Poisson blending, blended by alpha instead"
            )

    def factors(self) -> dict[str, str]:
        """As a record holds it."""
        factors = {"poisson_fallbacks": str(self.alpha_instead)} if self.alpha_instead else {}
        flicker = self.flicker.result() if self.flicker is not None else None
        return factors | (flicker.factors() if flicker else {})


def fake_record(
    request: SwapRequest,
    outcome: SwapOutcome,
    *,
    finder: str,
    path: str,
    frames: int,
    size: tuple[int, int],
    codec: str,
    masks: Masks | None = None,
    factors: Mapping[str, str] | None = None,
) -> ClipRecord:
    """The record of any fake before it is signed: ``sha256`` is :data:`UNSIGNED`, ``content_sha256`` is None.

    ``finder`` says how its faces were found; ``path``, ``frames``, ``size`` (width, height) and ``codec`` are of the
    file that was made. ``factors`` are further factors; they override those of the settings.
    """
    known = setting_factors(fitted_config(request.config, request.card.framing))
    hook = enlarge_digest(request.config.blend)
    known |= {"enlarge_sha256": hook} if hook is not None else {}
    network = restorer_digest(request.config.restore)
    known |= {"restorer_sha256": network} if network is not None else {}
    more: FileFacts = {"finder": finder, "path": path, "frames": frames, "size": size, "codec": codec, "masks": masks,
                       "factors": factors or {}}  # fmt: skip
    return unsigned_record(
        request, outcome, more, kind="swap", source=request.source,
        made_by=(request.card.model, request.swapper_sha256), config=request.config, seed=request.config.seed,
        factors=known,
    )  # fmt: skip


def unsigned_record(
    request: FakeRequest,
    outcome: SwapOutcome,
    facts: FileFacts,
    *,
    kind: Kind,
    source: str,
    made_by: tuple[str, str | None],
    config: object,
    seed: int,
    factors: Mapping[str, str],
) -> ClipRecord:
    """The record of a fake of any kind before it is signed: ``sha256`` is :data:`UNSIGNED`, no ``content_sha256``.

    Args:
        request: what was asked for.
        outcome: what came of it.
        facts: of the file that was made; its factors override the others.
        kind: of the fake.
        source: the other person in it.
        made_by: architecture, and SHA-256 of the swapper if there is one.
        config: the settings.
        seed: theirs.
        factors: of the settings, and what the kind adds.
    """
    known = {"finder": facts["finder"], "target_sha256": request.target_sha256} | dict(request.notes) | dict(factors)
    width, height = facts["size"]
    return ClipRecord(
        id=request.clip,
        kind=kind,
        label="fake",
        path=facts["path"],
        sha256=UNSIGNED,
        target_identity=request.target_identity,
        rights=request.rights,
        frames=facts["frames"],
        width=width,
        height=height,
        codec=facts["codec"],
        rendition=request.rendition,
        source_identity=source,
        faked=tuple(runs_of(outcome.faked)),
        masks=facts["masks"],
        swapper=made_by[1],
        architecture=made_by[0],
        config=settings.digest(config),
        seed=seed,
        parent=request.parent,
        tool_version=shared.__version__,
        factors=known | outcome.factors() | dict(facts["factors"]),
    )


def swap_action(request: SwapRequest) -> Action:
    """What a signature says was done."""
    cut = request.excerpt
    of = f"in frames {cut.start} to {cut.stop - 1} of the target, cut out of it, " if cut else ""
    return Action(
        "c2pa.edited",
        f"{of}the face of {request.target_identity} was replaced by the face of {request.source}, "
        "generated by a trained model",
        parameters={"manipulation": str(request.clip.manipulation), "swapper": request.swapper_sha256}
        | ({TARGET_FRAMES: cut.text} if cut else {}),
    )


def frame_labels(
    clip: ClipId,
    plan: SwapPlan,
    faked: Collection[int],
    *,
    scale: tuple[float, float] = (1.0, 1.0),
    every_face: bool = False,
) -> list[FrameLabel]:
    """A row for every face of every frame, and for every frame without one.

    Only a swapped face is fake: frames of a fake that were left alone, and other people in its forged frames, are real.

    Args:
        clip: whose frames.
        plan: their times and faces, and which tracks were swapped; none in a real clip.
        faked: indices of the frames that hold a forged pixel.
        scale: width and height of the clip's pictures over those in which the faces were found.
        every_face: whether everybody in a forged frame is fake, as in a clip made of a still.
    """
    labels: list[FrameLabel] = []
    for index, time in enumerate(plan.times):
        for face in plan.faces.get(index) or (None,):
            fake = index in faked and (every_face or (face is not None and face.track in plan.chosen))
            box = None
            if face is not None:
                # Pixel centres are at whole numbers, so the scale is about the corner half a pixel away.
                x0, y0, x1, y1 = ((float(side) + 0.5) * scale[place % 2] - 0.5 for place, side in enumerate(face.box))
                box = (x0, y0, x1, y1)
            labels.append(
                FrameLabel(
                    clip=clip,
                    frame=index,
                    pts=time.pts,
                    seconds=time.seconds,
                    label="fake" if fake else "real",
                    track=face.track if face else None,
                    box=box,
                    face_px=face.width_px * scale[0] if face else None,
                )
            )
    return labels
