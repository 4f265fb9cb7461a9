from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.dataset.folder import DatasetFolder
from shared.dataset.real import add_real_clip
from shared.errors import UsageError


def test_a_clip_that_says_a_model_made_it_is_not_added_as_real(make_set: Callable[..., DatasetFolder], tmp_path):
    dataset = make_set(("ann", "bob"), [("ann", "bob")])
    fake = next(record for record in dataset.records() if record.label == "fake")
    other = DatasetFolder.init(tmp_path / "other", "other")
    with pytest.raises(UsageError, match="no real clip"):
        add_real_clip(other, dataset.media_path(fake), identity="bob", rights="synthetic")
    assert other.records() == []
    real = next(record for record in dataset.records() if record.label == "real")
    assert add_real_clip(other, dataset.media_path(real), identity="ann", rights="synthetic").label == "real"
