"""One forged video file outside any dataset: marked and signed, without masks and labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forge.swapping.clip import swap_clip
from forge.swapping.config import SwapConfig
from forge.swapping.making import DELIVERABLE
from shared.errors import UsageError, storage_errors
from shared.marking.video_sound import need_markable_sound
from shared.provenance.read import read_provenance, sidecar_of
from shared.storage import scratch_beside
from shared.types import ClipRecord
from shared.video.encoding import CONTAINERS, Encoding
from shared.video.renditions import suffix_for


def is_deliverable(out: Path) -> bool:
    """Whether ``out`` names a video file rather than a folder."""
    return out.suffix.lower() in CONTAINERS and not out.is_dir()


def swap_to_file(
    target: Path,
    out: Path,
    *,
    swapper: Path,
    source: str,
    config: SwapConfig,
    mark: bool = True,
    mark_sound: bool = False,
    notice: bool = False,
    audio: bool = True,
    **who: Any,
) -> ClipRecord:
    """Puts the face of ``source`` into ``target`` and writes the fake to the video file ``out``, marked and signed.

    The record is in the signature (of .mkv and .webm in a file beside it). ``out`` appears whole, or not at all; what a
    killed run left beside it is removed by the next one. The other arguments are those of
    :func:`forge.swapping.clip.swap_clip`.

    Raises:
        UsageError: ``out`` is there and no fake of ours, its container cannot hold the codec or the sound, or there is
            no sound to be marked.
        AssayError: as for :func:`forge.swapping.clip.swap_clip`.
    """
    if mark_sound and not (mark and audio):
        raise UsageError("the sound is marked only beside the pictures", hint="leave out --no-mark and --no-audio")
    if mark_sound:
        need_markable_sound(target)

    def make(dataset: Path, encoding: Encoding) -> ClipRecord:
        return swap_clip(
            target, swapper=swapper, source=source, dataset=dataset, config=config, encoding=encoding, mark=mark,
            mark_sound=mark_sound, notice=notice, audio=audio, **who,
        )  # fmt: skip

    sound = target if audio and not mark_sound else None
    return fake_to_file(out, config.output.encoding, sound, make, command="swap")


def fake_to_file(
    out: Path,
    usual: Encoding,
    sound: Path | None,
    make: Callable[[Path, Encoding], ClipRecord],
    *,
    command: str,
) -> ClipRecord:
    """The fake that ``make`` puts into a dataset of its own, at the video file ``out`` instead.

    Args:
        out: appears whole, or not at all; what a killed run left beside it is removed by the next one.
        usual: the encoding, but for its container.
        sound: the file whose sound is copied; None for none.
        make: makes the fake in a dataset with an encoding.
        command: of ``assay forge``, for errors.

    Raises:
        UsageError: ``out`` is there and no fake of ours, or its container cannot hold the codec or the sound.
        AssayError: as ``make``.
    """
    suffix = out.suffix.lower()
    if out.exists():
        known = read_provenance(out)
        if known is None or known.record is None or not str(known.record.get("id", "")).startswith(f"{DELIVERABLE}/"):
            raise UsageError(f"{out} is there and no fake made by assay forge {command}", hint="choose another --out")
    manifest = sidecar_of(out)
    if manifest is not None and manifest.exists() and not out.exists():
        raise UsageError(f"{manifest} is there and belongs to another file", hint="choose another --out")
    if suffix not in usual.containers:
        raise UsageError(f"{suffix} holds no {usual.codec}", hint=f"name OUT as {', '.join(usual.containers)}")
    encoding = dataclasses.replace(usual, container=suffix)
    if suffix_for(encoding, sound) != suffix:
        raise UsageError(
            f"{suffix} cannot hold the sound of {sound}", hint="name OUT .mkv, or leave it out: --no-audio"
        )
    with storage_errors(out):
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        with scratch_beside(out.absolute()) as scratch:
            dataset = scratch / DELIVERABLE
            record = make(dataset, encoding)
            made = dataset / record.path
            beside = sidecar_of(made)
            if beside is not None:
                beside.replace(out.with_suffix(beside.suffix))
            made.replace(out)
    return dataclasses.replace(record, path=out.name)
