"""A choice among the clips of an evaluation, by what its file says of them."""

from __future__ import annotations

from collections.abc import Sequence

from detect.data.protocols import only, parse_only
from detect.metrics.compare import ClipLogit
from shared.errors import UsageError
from shared.types import ClipId, ClipRecord


def only_scored(clips: Sequence[ClipLogit], texts: Sequence[str]) -> list[ClipLogit]:
    """The ``clips`` that match ``texts``, each "KEY=NAME", as :func:`detect.data.protocols.only` matches records.

    Raises:
        UsageError: a key or a name matches nothing, or the evaluation is of a version that did not write the key.
    """
    if not texts:
        return list(clips)
    wanted = parse_only(texts)
    if any(clip.kind is None for clip in clips) and set(wanted) - {"manipulation", "rendition"}:
        raise UsageError("an evaluation of an older version says only manipulation and rendition of its clips",
                         hint="evaluate again for other keys of --only")  # fmt: skip
    kept = {str(record.id) for record in only([_outline(clip) for clip in clips], wanted)}
    return [clip for clip in clips if clip.clip in kept]


def _outline(clip: ClipLogit) -> ClipRecord:
    """A record of what is known of the clip; its files are not."""
    try:
        return ClipRecord(
            id=ClipId.parse(clip.clip),
            kind=clip.kind or ("real" if clip.label == "real" else "swap"),
            label=clip.label,
            path="unread",
            sha256="0" * 64,
            target_identity=clip.target,
            source_identity=clip.source if clip.kind else None if clip.label == "real" else "",
            rights="",
            frames=0,
            width=0,
            height=0,
            codec=clip.codec,
            rendition=clip.rendition,
            architecture=clip.architecture,
            factors=clip.factors,
        )
    except ValueError as error:
        raise UsageError(f"{clip.clip} is not described as a clip: {error}", hint="evaluate again") from error
