"""Files of a faceset: the cropped faces of one person with their metadata.

::

    faceset.toml     FacesetInfo: identity, rights, source clips with their hashes, finder, framing, size
    faces.parquet  a FaceRow per face, in the order of clips and frames
    crops/           00000000.png, ...: the crop of row 0, ...; RGB, square

Convention:
    landmarks, box: frame pixels; matrix: frame to crop, (2, 3)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from shared.errors import FacesetError
from shared.faces.facesets.extract_config import MAX_PX, MIN_PX
from shared.types import NUM_LANDMARKS, Framing, check_name
from shared.video.images import encode_png

VERSION = 1
SETTINGS = "faceset.toml"
TABLE = "faces.parquet"
CROPS = "crops"

MAX_FACES = 5_000_000

SCHEMA = pa.schema(
    [
        pa.field("clip", pa.int32(), nullable=False),
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("pts", pa.int64(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("track", pa.int32(), nullable=False),
        pa.field("box", pa.list_(pa.float32(), 4), nullable=False),
        pa.field("landmarks", pa.list_(pa.float32(), 2 * NUM_LANDMARKS), nullable=False),
        pa.field("matrix", pa.list_(pa.float64(), 6), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        pa.field("sharpness", pa.float32(), nullable=False),
        pa.field("yaw_degrees", pa.float32(), nullable=False),
        pa.field("pitch_degrees", pa.float32(), nullable=False),
        pa.field("roll_degrees", pa.float32(), nullable=False),
        pa.field("embedding", pa.list_(pa.float32())),
        pa.field("kept", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True)
class SourceClip:
    """A source video of faces. ``name`` is its file name; ``sha256`` identifies the file.

    ``frames_read`` is the number of frames searched, ``frames_without_face`` of those without a face.
    ``frames_decoded`` is the number of frames in the file, ``frames_declared`` what the file says of it; both None in
    facesets of earlier versions. ``first_failure`` says where decoding failed first, in FFmpeg's words.
    """

    name: str
    sha256: str
    frames_read: int
    frames_without_face: int
    decode_failures: int = 0
    frames_decoded: int | None = None
    frames_declared: int | None = None
    first_failure: str = ""


@dataclass(frozen=True)
class FacesetInfo:
    """The contents of ``faceset.toml``.

    ``faces`` counts all rows, ``kept`` those fit for training; ``set_aside`` says why the others are not. ``finder`` is
    the finder's description, with hashes of its weights. ``crops_sha256`` is over all crop files in order.
    ``drawn_by`` names the swapper that generated the crops; empty for crops cut from the clips. ``unread`` names the
    clips that were given too and could not be read, with the reason.
    """

    identity: str
    rights: str
    clips: tuple[SourceClip, ...]
    finder: dict[str, str]
    framing: Framing
    px: int
    faces: int
    kept: int
    version: int = VERSION
    crops_sha256: str = ""
    embedder: str = ""
    set_aside: dict[str, int] = field(default_factory=dict)
    drawn_by: str = ""
    unread: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.identity, "identity")
        if self.version != VERSION:
            raise ValueError(f"version {self.version} of the layout is not known here, only {VERSION}")
        if not MIN_PX <= self.px <= MAX_PX:
            raise ValueError(f"crops have {MIN_PX} to {MAX_PX} px, not {self.px}")
        if not 0 <= self.kept <= self.faces <= MAX_FACES:
            raise ValueError(f"counts contradict: {self.kept} kept of {self.faces} faces (at most {MAX_FACES})")


@dataclass(frozen=True, eq=False)
class FaceRow:
    """One face of a faceset; see the module's convention. ``clip`` is the position in :attr:`FacesetInfo.clips`.

    ``track`` is unique in the whole faceset; ``confidence`` is the detector's own score.
    """

    clip: int
    frame: int
    pts: int
    seconds: float
    track: int
    box: np.ndarray
    landmarks: np.ndarray
    matrix: np.ndarray
    confidence: float
    sharpness: float
    yaw_degrees: float
    pitch_degrees: float
    roll_degrees: float
    embedding: np.ndarray | None = None
    kept: bool = True

    @property
    def width_px(self) -> float:
        """Width of the box in frame pixels."""
        return float(self.box[2] - self.box[0])

    def to_mapping(self) -> dict[str, Any]:
        """Plain values by column name."""
        values = {name: getattr(self, name) for name in SCHEMA.names}
        for name in ("box", "landmarks", "matrix", "embedding"):
            if values[name] is not None:
                values[name] = np.asarray(values[name]).reshape(-1).tolist()
        return values


def crop_name(row: int) -> str:
    """Path of the crop of ``row``, relative to the faceset's folder."""
    return f"{CROPS}/{row:08d}.png"


def encode_crop(crop: np.ndarray) -> bytes:
    """(S, S, 3) uint8 RGB as a PNG file.

    Raises:
        FacesetError: not a square RGB image of an allowed size.
    """
    side = crop.shape[0]
    if crop.shape != (side, side, 3) or crop.dtype != np.uint8 or not MIN_PX <= side <= MAX_PX:
        raise FacesetError(
            f"a crop is square RGB of {MIN_PX} to {MAX_PX} px, got {crop.shape} {crop.dtype}",
            hint="cut it with shared.faces.align",
        )
    return encode_png(crop)


def decode_crop(data: bytes, px: int, what: str) -> np.ndarray:
    """The inverse of :func:`encode_crop`: (``px``, ``px``, 3) uint8 RGB.

    The size in the file's header is checked before decoding.

    Raises:
        FacesetError: ``data`` is not a PNG, of another size or kind, or damaged.
    """
    hint = "the faceset is damaged: extract it again"
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        raise FacesetError(f"{what} is not a PNG file", hint=hint)
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if (width, height) != (px, px):
        raise FacesetError(f"{what} is {width}x{height}, not {px}x{px}", hint=hint)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise FacesetError(f"{what} cannot be decoded", hint=hint) from error
    if image is None or image.shape != (px, px, 3):
        raise FacesetError(f"{what} cannot be decoded", hint=hint)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
