"""Errors carry a hint and an exit code, and the operating system's refusals are translated."""

from __future__ import annotations

import errno
import os

import pytest

from shared import errors
from shared.errors import (
    AssayError,
    ConfigError,
    MediaError,
    StorageError,
    UnknownNameError,
    UsageError,
    storage_errors,
)


def test_mistakes_in_calling_exit_with_two_and_failures_with_one():
    assert {UsageError.exit_code, ConfigError.exit_code, UnknownNameError.exit_code} == {2}
    others = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, AssayError) and not issubclass(kind, UsageError)
    ]
    assert len(others) > 10
    assert {kind.exit_code for kind in others} == {1}


def test_the_hint_is_apart_from_the_message():
    error = MediaError("clip.mp4 is empty", hint="copy it again")
    assert (str(error), error.hint) == ("clip.mp4 is empty", "copy it again")
    assert MediaError("x").hint is None


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.EFBIG, "beyond what is allowed"),
        (errno.EIO, "device failed"),
        (errno.EEXIST, "a file stands"),
        (errno.ENOTDIR, "part of the path is a file"),
        (errno.EISDIR, "is a folder"),
        (errno.ENAMETOOLONG, "too long"),
    ],
)
def test_refusals_of_the_disk_say_where_and_why(tmp_path, number, says):
    path = tmp_path / "out.json"
    with pytest.raises(StorageError, match=says) as caught, storage_errors(path):
        raise OSError(number, os.strerror(number))
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert isinstance(caught.value.__cause__, OSError)


def test_other_errors_pass_through(tmp_path):
    with pytest.raises(InterruptedError), storage_errors(tmp_path):
        raise InterruptedError(errno.EINTR, "stopped")
    with pytest.raises(KeyError), storage_errors(tmp_path):
        raise KeyError("x")
