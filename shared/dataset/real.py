"""Adds real clips to a dataset, decoded and encoded as fakes are, so that only the forgery separates the classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import shared
from shared.config import digest
from shared.dataset.folder import DatasetFolder
from shared.dataset.marked import need_unmarked_set
from shared.dataset.names import safe_name, title_note
from shared.errors import ManifestError, UsageError
from shared.provenance.identity import SigningIdentity
from shared.provenance.read import read_provenance
from shared.provenance.sign import need_signable, sign_clip
from shared.provenance.types import Action, record_facts, source_type_of
from shared.storage import need_free_space, sha256_file
from shared.types import ClipId, ClipRecord, Face, Frame, FrameLabel, check_name
from shared.video import Encoding, VideoReader, VideoWriter, container_for, need_encodable, probe
from shared.video.facts import read_with_notes
from shared.video.unread import frames_note

if TYPE_CHECKING:
    from shared.faces.finders.finder import FaceFinder

_UNSIGNED = "0" * 64
_ORIGINAL = "original_sha256"


def real_clip_id(dataset: DatasetFolder, clip: Path, encoding: Encoding, name: str | None = None) -> ClipId:
    """The id that :func:`add_real_clip` gives to ``clip``: its name, ``@``, and the encoding's name.

    Raises:
        UsageError: ``name`` has forbidden characters.
    """
    stem = name or safe_name(clip.stem)
    try:
        return ClipId(dataset.name, None, f"{stem}@{encoding.name}")
    except ValueError as error:
        raise UsageError(f"{clip}: {error}", hint="give it a name with --name") from error


def _need_fitting(clip: Path, dataset: DatasetFolder) -> None:
    """A real clip for a set whose clips carry no mark."""
    need_unmarked_set(dataset)
    known = read_provenance(clip)
    if known is not None and known.says_fake:
        raise UsageError(f"{clip} says that a model made it: it is no real clip", hint="add what it was made from")


def add_real_clip(
    dataset: DatasetFolder,
    clip: str | Path,
    *,
    identity: str,
    rights: str,
    encoding: Encoding = Encoding(),  # noqa: B008 - frozen
    name: str | None = None,
    finder: FaceFinder | None = None,
    signer: SigningIdentity | None = None,
    tick: Callable[[int], object] | None = None,
    audio: bool = True,
) -> ClipRecord:
    """Adds a real clip to ``dataset``: re-encoded with the encoder of the fakes, with its sound copied, and signed.

    With a ``finder`` its faces are labelled, one row each, in turned pictures where upright ones show none; without one
    every frame gets a row without a box. Rights "synthetic" mark a clip rendered by a program (a procedural actor),
    also in the signature. A clip that is listed already is returned unchanged. ``tick`` is called with 1 after each
    frame. Without ``audio`` its sound is left out, which is recorded. Possible failures of the output are checked
    before the first frame.

    Raises:
        MediaError: the clip cannot be read.
        ManifestError: another file is listed under that name, or the set differs from its seal.
        UsageError: a name has forbidden characters, a model made the clip by its manifest, or the set's are marked.
        ProvenanceError, StorageError: signing or writing failed.
    """
    clip = Path(clip)
    _check_words(identity, rights)
    clip_id = real_clip_id(dataset, clip, encoding, name)
    original = sha256_file(clip) if clip.is_file() else ""
    if dataset.has(clip_id):
        return _listed(dataset.record(clip_id), original, clip)
    info, sound = probe(clip), clip if audio else None
    suffix = encoding.container if sound is None else container_for(sound, encoding.container, encoding.containers)
    signer = signer or SigningIdentity.load_or_create()
    _need_fitting(clip, dataset)
    notes = read_with_notes(clip, info, audio=audio)
    need_encodable(info, suffix, encoding, audio_from=sound)
    need_signable(signer, clip)
    # Rarely is a clip larger than four times its source.
    need_free_space(dataset.path, 4 * clip.stat().st_size + (16 << 20))
    relative = dataset.media_for(clip_id, suffix)
    with ExitStack() as held:
        with dataset.stage_media(relative, held=held) as draft:
            labels = list(_encode(clip, draft, clip_id, encoding, finder, tick, sound))
            frames = len({label.frame for label in labels})
            if finder is not None and all(label.box is None for label in labels):
                labels, turned = _turned_labels(clip, clip_id, finder, labels)
                notes |= turned
            notes |= frames_note(info.frames_declared, frames)
            info = probe(draft)
            record = ClipRecord(
                id=clip_id,
                kind="real",
                label="real",
                path=relative,
                sha256=_UNSIGNED,
                target_identity=identity,
                rights=rights,
                frames=frames,
                width=info.width,
                height=info.height,
                codec=info.codec,
                rendition=encoding.name,
                config=digest(encoding),
                tool_version=shared.__version__,
                factors={_ORIGINAL: original} | title_note(clip) | notes,
            )
            content = sign_clip(
                draft,
                signer,
                title=f"{clip_id.name}{draft.suffix}",
                actions=[Action("c2pa.transcoded", "decoded and encoded as the forged clips of its set are")],
                ingredient=clip,
                digital_source_type=source_type_of(record),
                record=record_facts(record),
            )
            record = dataclasses.replace(record, sha256=sha256_file(draft), content_sha256=content)
        return dataset.add(record, labels)


def _encode(
    clip: Path,
    out: Path,
    clip_id: ClipId,
    encoding: Encoding,
    finder: FaceFinder | None,
    tick: Callable[[int], object] | None,
    sound: Path | None,
) -> Iterator[FrameLabel]:
    with VideoReader(clip) as reader, VideoWriter.like(reader.info, out, encoding=encoding, audio_from=sound) as writer:
        for frame, faces in _with_faces(reader, finder):
            writer.write(frame.image, frame.time)
            yield from real_labels(clip_id, frame, faces)
            if tick is not None:
                tick(1)


def _turned_labels(
    clip: Path, clip_id: ClipId, finder: FaceFinder, upright: list[FrameLabel]
) -> tuple[list[FrameLabel], dict[str, str]]:
    """The labels of a clip whose people lie, and a note; without such people the ``upright`` labels, and none."""
    from shared.faces.finders.turned import turned_finder, turned_note
    from shared.faces.stream import follow

    with VideoReader(clip) as reader:
        turned = turned_finder(reader, finder)
        if turned is None:
            return upright, {}
        labels = [label for frame, faces in follow(reader, turned) for label in real_labels(clip_id, frame, faces)]
    return labels, turned_note(turned, clip.name)


def real_labels(clip: ClipId, frame: Frame, faces: list[Face]) -> Iterator[FrameLabel]:
    """The rows of an unmodified frame: one per face, or one without a box."""
    moment = frame.time
    for face in faces or [None]:
        x0, y0, x1, y1 = face.box.tolist() if face else (0.0, 0.0, 0.0, 0.0)
        yield FrameLabel(
            clip=clip,
            frame=frame.index,
            pts=moment.pts,
            seconds=moment.seconds,
            label="real",
            track=face.track if face else None,
            box=(x0, y0, x1, y1) if face else None,
            face_px=face.width_px if face else None,
        )


def _with_faces(reader: VideoReader, finder: FaceFinder | None) -> Iterator[tuple[Frame, list[Face]]]:
    if finder is None:
        for frame in reader:
            yield frame, []
        return
    from shared.faces.stream import follow

    yield from follow(reader, finder)


def _listed(record: ClipRecord, original: str, clip: Path) -> ClipRecord:
    if record.factors.get(_ORIGINAL) != original:
        raise ManifestError(f"{record.id} is listed already, made from another file than {clip}", hint="use --name")
    return record


def _check_words(identity: str, rights: str) -> None:
    try:
        check_name(identity, "identity")
    except ValueError as error:
        raise UsageError(str(error), hint="for example ann or speaker-07") from error
    if not rights.strip() or len(rights) > 200:
        raise UsageError(
            "say on what basis the clip may be used", hint='--rights consent, "CC-BY-4.0", public-domain, ...'
        )
