"""The layout of a dataset folder, and its settings ``dataset.toml``.

::

    dataset.toml      name, description, licence, layout version
    manifest.jsonl    one ClipRecord per line
    clips-*.jsonl     the same lines, one file per split, for Hugging Face's load_dataset
    frames.parquet    a row per frame and face
    media/            real/NAME@RENDITION.mp4, MANIPULATION/NAME.mp4, with .c2pa beside containers that hold no manifest
    masks/            MANIPULATION/NAME.{alpha,changed,region}.mkv, lossless
    drive/            MANIPULATION/NAME.drive.parquet: how each frame of a re-enactment was driven
    dataset.sig       the seal: digests of all of the above, signed
    README.md         the dataset card
    .pending/         frame labels of clips added since the last seal, and a seal that is just being put in place
    .lock             held by whoever writes
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.config import load_toml
from shared.errors import ConfigError, ManifestError
from shared.types import ClipId, Masks, Split, check_name

LAYOUT_VERSION = 1

SETTINGS = "dataset.toml"
MANIFEST = "manifest.jsonl"
FRAMES = "frames.parquet"
SEAL = "dataset.sig"
CARD = "README.md"
SPLIT_TABLES: dict[Split | None, str] = {
    "train": "clips-train.jsonl",
    "val": "clips-validation.jsonl",
    "test": "clips-test.jsonl",
    None: "clips-unsplit.jsonl",
}
"""The lines of each split; empty where a split has none."""
MEDIA = "media"
MASKS = "masks"
DRIVE = "drive"
DRIVE_TABLE = "drive_table"
"""Factor of a re-enactment that names its table in ``drive/``; ``drive_table_sha256`` is its digest."""
PENDING = ".pending"
LOCK = ".lock"

MaskName = Literal["alpha", "changed", "region"]
MASK_NAMES: tuple[MaskName, ...] = ("alpha", "changed", "region")
MASK_SUFFIX = ".mkv"


@dataclass(frozen=True)
class DatasetInfo:
    """The contents of ``dataset.toml``.

    ``license`` is an SPDX identifier or "other"; the rights of a clip are in its record. ``controls`` is "on" if a
    build processed real clips like fakes, "off" if it did not, "imported" for third-party sets, and empty for sets that
    were not built.
    """

    name: str
    description: str = ""
    license: str = ""
    version: int = LAYOUT_VERSION
    controls: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "dataset")


def read_info(folder: Path) -> DatasetInfo:
    """Reads the ``dataset.toml`` of ``folder``.

    Raises:
        ManifestError: the folder is not a dataset, its settings are damaged, or it was written by a later version.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise ManifestError(f"{folder} is not a dataset: it has no {SETTINGS}", hint="assay dataset init makes one")
    try:
        info = load_toml(DatasetInfo, path)
    except ConfigError as error:
        raise ManifestError(str(error), hint="restore the file from a copy") from error
    if info.version > LAYOUT_VERSION:
        raise ManifestError(
            f"{folder} has layout version {info.version}, this Assay reads up to {LAYOUT_VERSION}",
            hint="use a newer Assay",
        )
    return info


def media_for(clip: ClipId, suffix: str = ".mp4") -> str:
    """Path, inside the dataset, of the video of ``clip``."""
    return f"{MEDIA}/{clip.manipulation or 'real'}/{clip.name}{suffix}"


def masks_for(clip: ClipId) -> Masks:
    """Paths, inside the dataset, of the three masks of a fake."""
    stem = f"{MASKS}/{clip.manipulation}/{clip.name}"
    alpha, changed, region = (f"{stem}.{name}{MASK_SUFFIX}" for name in MASK_NAMES)
    return Masks(alpha, changed, region)
