"""The errors that Assay raises, with a message (what is wrong, in which file) and a hint (what to do).

Only the command line catches them. Other exceptions are translated where they occur, with ``raise ... from``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AssayError(Exception):
    """Base of all errors of Assay.

    Attributes:
        hint: one sentence on what to do next, or None.
        exit_code: of the command line: 1 for a failure, 2 for wrong usage.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(AssayError):
    """A command or a function was called with wrong arguments."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type, or out of range."""


class UnknownNameError(UsageError):
    """Nothing is registered under that name."""


class MediaError(AssayError):
    """A video, audio or image file cannot be read."""


class NoFaceError(AssayError):
    """There is no usable face."""


class FinderError(AssayError):
    """A face finder cannot be built or run."""


class WeightsError(AssayError):
    """Model weights are missing, damaged, or differ from the pinned ones."""


class FacesetError(AssayError):
    """A faceset is damaged, too small, or unsuitable."""


class VoicesetError(AssayError):
    """A voiceset is damaged, too small, or unsuitable."""


class SpeechError(AssayError):
    """Speech cannot be made: an engine is missing, failed, or gave nothing."""


class ManifestError(AssayError):
    """A dataset's manifest or tables are inconsistent, or do not match the files."""


class LeakError(AssayError):
    """Splits share an identity, a clip or a duplicate."""


class RunError(AssayError):
    """A run folder is in use, damaged, or belongs to another configuration."""


class CheckpointError(AssayError):
    """A checkpoint cannot be read or does not fit the model."""


class TrainingDivergedError(AssayError):
    """The loss became NaN or infinite."""


class ProvenanceError(AssayError):
    """Signing or verifying a signature failed."""


class CaseError(AssayError):
    """A case folder is damaged, incomplete, or was changed."""


class StorageError(AssayError):
    """Writing failed: disk full, read-only, or not permitted."""


_STORAGE_REASONS: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another output folder"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another output folder"),
    errno.EROFS: ("the file system is read-only", "choose an output folder that can be written"),
    errno.EACCES: ("permission was denied", "check the folder's owner and permissions, or choose another"),
    errno.EPERM: ("permission was denied", "check the folder's owner and permissions, or choose another"),
    errno.EFBIG: ("the file would grow beyond what is allowed", "choose another output folder, or raise the limit"),
    errno.EIO: ("the device failed", "check the disk, or choose another output folder"),
    errno.EEXIST: ("a file stands where a folder is needed", "choose another path"),
    errno.ENOTDIR: ("a part of the path is a file", "choose another path"),
    errno.EISDIR: ("the path is a folder", "choose another path"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translates OSErrors while writing ``path`` into :class:`StorageError`.

    Raises:
        StorageError: a full disk, a read-only or forbidden folder, or an invalid path.
    """
    try:
        yield
    except OSError as error:
        known = _STORAGE_REASONS.get(error.errno or 0)
        if known is None:
            raise
        reason, hint = known
        raise StorageError(f"cannot write {path}: {reason}", hint=hint) from error
