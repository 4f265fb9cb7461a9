"""Redraws a faceset with a swapper's decoder: real faces with the traces of an autoencoder, pixel-aligned.

A detector of autoencoder forgeries has to learn the traces of decoders, at any strength of blending and
for people that no swapper was trained on. A redrawn faceset has the rows, landmarks and matrices of the one it was
made from, so a face and its twin are pixel-aligned: ``assay detect train --twins`` blends them under the
masks of self-blended images. (The idea of twins: autoencoder reconstructions of the real frames as training fakes.)

``drawn_by`` marks a redrawn faceset; it is never taken for real, and no swapper is trained on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from forge.models.checkpoint import digest_of, read_card
from forge.models.predictor import SwapPredictor
from forge.swapping.twins import TwinPaste, pasted_crops
from shared.console import console
from shared.errors import FacesetError, UsageError
from shared.faces.align import align, scale_of
from shared.faces.facesets.reader import FaceRow, Faceset, FacesetInfo, FacesetWriter, encode_crop
from shared.faces.facesets.writer import check_target
from shared.faces.pastes.mask import border_fade
from shared.sampling import evenly_spaced
from shared.types import AlignedFace, Face, SwappedFace

_BORDER = 0.06
_GROUP = 64


def redraw(
    faceset: Path,
    out: Path,
    *,
    swapper: Path,
    source: str | None = None,
    max_faces: int | None = None,
    paste: TwinPaste | None = None,
    device: str = "auto",
    force: bool = False,
) -> FacesetInfo:
    """Writes ``out``: the kept faces of ``faceset`` redrawn by ``swapper``, and returns its ``faceset.toml``.

    Without a ``paste`` the decoder's whole picture is put back, and where it ends inside the crop it fades into the
    face's own surroundings.

    Args:
        faceset: whose faces; of people the swapper knows, or of others.
        out: the folder of the new faceset.
        swapper: an exported swapper, or a run that holds one.
        source: the identity whose decoder is used; by default the faceset's own person, if the swapper knows them, and
            of a swapper of a population its one decoder.
        paste: how the decoder's face is pasted; a face in which that changes nothing is left out.
        max_faces: at most this many, evenly spaced.
        device: where the swapper runs.
        force: replace a faceset that is there.

    Raises:
        UsageError: the swapper does not know ``source``, or ``out`` is taken.
        FacesetError: ``faceset`` is damaged, or is redrawn itself.
        CheckpointError: the swapper cannot be read.
        StorageError: writing failed.
    """
    check_target(out, force=force)
    original = Faceset.open(faceset)
    if original.info.drawn_by:
        raise FacesetError(f"{faceset} is redrawn by a swapper itself", hint="redraw the faceset it was made from")
    card = read_card(swapper)
    who = source or (card.identities[0] if card.population else original.info.identity)
    if who not in card.identities:
        raise UsageError(
            f"{swapper} knows no identity {who!r}", hint=f"name one with --source: {_list(card.identities)}"
        )
    predictor = SwapPredictor.load(swapper, device)
    rows = original.rows()
    rows = [rows[place] for place in evenly_spaced(len(rows), max_faces)] if max_faces else rows
    writer = FacesetWriter(
        out,
        identity=original.info.identity,
        rights=original.info.rights,
        finder=original.info.finder,
        framing=original.info.framing,
        px=original.info.px,
        embedder=original.info.embedder,
        drawn_by=f"{card.model} as {who}{'' if paste is None else f', pasted: {paste.title}'} {digest_of(card)}",
        force=force,
    )
    with writer, console.progress("redrawing", len(rows), unit="face") as tick:
        writer.clips.extend(original.info.clips)
        for group in _groups(rows):
            for row, crop in zip(group, redrawn_crops(original, group, predictor, who, paste), strict=True):
                if crop is not None:
                    writer.add(_row(original, row), encode_crop(crop))
                tick(1)
    assert writer.info is not None
    return writer.info


def redrawn_crops(
    faceset: Faceset, rows: Sequence[int], predictor: SwapPredictor, source: str, paste: TwinPaste | None = None
) -> Iterable[np.ndarray | None]:
    """The crops of ``rows`` redrawn by ``source``'s decoder, (S, S, 3) uint8 each, in the faceset's own geometry.

    With a ``paste``, None for a crop in which it changed nothing.
    """
    landmarks = faceset.landmarks_in_crop()
    crops = [faceset.crop(row) for row in rows]
    faces = [_aligned(crop, landmarks[row], row, predictor) for crop, row in zip(crops, rows, strict=True)]
    if paste is not None:
        return pasted_crops(crops, faces, rows, predictor, source, paste)
    return [put_back(crop, face) for crop, face in zip(crops, predictor.swap(faces, source), strict=True)]


def put_back(crop: np.ndarray, swapped: SwappedFace) -> np.ndarray:
    """``crop`` (S, S, 3) uint8 with the decoder's square picture in place, its colours shifted to the crop's.

    The picture fades out over the outer twentieth of its own square. Means and deviations of each channel are
    matched within it, as every swap pipeline does, so that a twin differs by its texture and not by its light.
    """
    side, px = crop.shape[0], swapped.crop.shape[0]
    weight = border_fade(px, _BORDER)
    shown = cv2.warpAffine(crop, swapped.frame_to_crop, (px, px), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    decoded = _toned(swapped.crop * 255.0, shown.astype(np.float32), weight)
    layers = np.dstack([decoded, weight]).astype(np.float32)
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_AREA if scale_of(swapped.frame_to_crop) > 1.5 else cv2.INTER_CUBIC)
    placed = cv2.warpAffine(layers, swapped.frame_to_crop, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    alpha = np.clip(placed[..., 3:], 0.0, 1.0)
    mixed = alpha * placed[..., :3] + (1 - alpha) * crop
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _toned(decoded: np.ndarray, shown: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``decoded`` with the weighted mean and deviation of ``shown``, channel by channel; all (S, S, 3) float32."""
    share = (weight / max(float(weight.sum()), 1e-6))[..., None]
    mean_decoded, mean_shown = (decoded * share).sum((0, 1)), (shown * share).sum((0, 1))
    spread_decoded = np.sqrt((((decoded - mean_decoded) ** 2) * share).sum((0, 1)))
    spread_shown = np.sqrt((((shown - mean_shown) ** 2) * share).sum((0, 1)))
    return (decoded - mean_decoded) * (spread_shown / np.maximum(spread_decoded, 1.0)) + mean_shown


def _aligned(crop: np.ndarray, landmarks: np.ndarray, row: int, predictor: SwapPredictor) -> AlignedFace:
    x0, y0 = landmarks.min(0)
    x1, y1 = landmarks.max(0)
    face = Face(box=np.array([x0, y0, x1, y1], np.float32), landmarks=landmarks, confidence=1.0)
    return align(crop, face, px=predictor.spec.input_px, framing=predictor.spec.framing, frame=row)


def _row(faceset: Faceset, row: int) -> FaceRow:
    values = faceset.table.slice(row, 1).to_pylist()[0]
    for name, shape in (("box", (4,)), ("landmarks", (68, 2)), ("matrix", (2, 3))):
        values[name] = np.array(values[name]).reshape(shape)
    embedding = values.pop("embedding")
    return FaceRow(**values, embedding=None if embedding is None else np.array(embedding, np.float32))


def _groups(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), _GROUP):
        yield rows[start : start + _GROUP]


def _list(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(sorted(names)[:most])
    return f"{shown}, and {len(names) - most} more" if len(names) > most else shown
