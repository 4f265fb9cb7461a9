"""A set whose clips carry a mark takes no clip without one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.cli import run
from shared.dataset.folder import DatasetFolder
from shared.dataset.marked import need_unmarked_set
from shared.errors import UsageError
from shared.marking.files import picture_binding
from shared.marking.payload import Payload
from shared.provenance.identity import SigningIdentity
from shared.provenance.sign import sign_clip
from shared.provenance.types import CAPTURE, Action


def test_a_marked_set_takes_no_clip_without_its_mark(make_set: Callable[..., DatasetFolder], make_clip, capsys):
    dataset = make_set(("ann", "bob"), [("ann", "bob")])
    need_unmarked_set(dataset)
    first = dataset.records()[0]
    sign_clip(
        dataset.media_path(first),
        SigningIdentity.load_or_create(),
        title="first",
        actions=[Action("c2pa.watermarked", "an imperceptible mark was written")],
        ingredient=None,
        digital_source_type=CAPTURE,
        record={},
        bindings=[picture_binding(Payload.of("set", "00" * 32))],
    )
    with pytest.raises(UsageError, match="carry a mark"):
        need_unmarked_set(dataset)
    count = len(dataset)
    words = ["dataset", "add", str(dataset.path), str(make_clip()), "--identity", "cat", "--rights", "consent"]
    assert run(words) == 2
    assert "carry a mark" in " ".join(capsys.readouterr().err.split())
    assert len(DatasetFolder.open(dataset.path)) == count
