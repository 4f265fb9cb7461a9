"""The imperceptible mark of a fake that is handed out: its payload, and pictures and sound that carry it.

The mark is the last change before encoding, so masks, colours and quality are of the picture before it. It leads to the
request: the first bits of a digest over clip, target, swapper and settings.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forge.swapping.request import FakeRequest
from shared import config as settings
from shared.errors import UsageError
from shared.marking.embed import MarkWriter
from shared.marking.files import picture_binding, sound_binding
from shared.marking.notice import with_notice
from shared.marking.payload import Payload
from shared.marking.video_sound import marked_sound
from shared.provenance.types import SoftBinding, mark_text


@dataclass(frozen=True, eq=False)
class Finish:
    """What is done to each picture of a fake last: a visible notice, then the mark; both may be left out.

    Attributes:
        writer: writes the mark; None leaves it out.
        notice: whether a visible label is drawn.
        sound: whether the sound of a video is marked as well.
    """

    writer: MarkWriter | None = None
    notice: bool = False
    sound: bool = False

    @classmethod
    def of(cls, request: FakeRequest, *, mark: bool, notice: bool = False, sound: bool = False) -> Finish:
        """For the fake that ``request`` asks for."""
        return cls(MarkWriter(payload_of(request)) if mark else None, notice, sound)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """An (H, W, 3) uint8 picture, finished; the same array if nothing is done."""
        labelled = with_notice(image) if self.notice else image
        return labelled if self.writer is None else self.writer.mark(labelled)

    @contextmanager
    def finished_sound(self, source: Path | None, suffix: str) -> Iterator[Path | None]:
        """A file with the sound of ``source`` for a video file with this suffix: marked if asked, else the same file.

        Raises:
            MediaError: the sound cannot be decoded or encoded.
            UsageError: it is to be marked, and there is none.
        """
        if self.sound and source is None:
            raise UsageError("there is no sound to be marked in this part", hint="leave out --mark-sound")
        if source is None or self.writer is None or not self.sound:
            yield source
            return
        with marked_sound(source, self.writer.payload, suffix) as path:
            yield path

    @property
    def bindings(self) -> tuple[SoftBinding, ...]:
        """How the signature names the mark; empty without one."""
        if self.writer is None:
            return ()
        picture = picture_binding(self.writer.payload)
        return (picture, sound_binding(self.writer.payload)) if self.sound else (picture,)

    def factors(self) -> dict[str, str]:
        """As a record says it."""
        return {"mark": mark_text(self.bindings)} | ({"notice": "visible"} if self.notice else {})


def payload_of(request: FakeRequest) -> Payload:
    """The payload of the fake that ``request`` asks for."""
    return Payload.of(request.mark_kind, settings.digest(dict(request.mark_facts)))
