from __future__ import annotations

import pytest

from forge.quality.leakage import embedder_in_loss
from shared.errors import CheckpointError

DLIB = "dlib-resnet-v1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[loss]\nidentity = 0.0\nmae = 1.0\n", False),
        ("[loss]\nmae = 1.0\n", False),
        ("[loss]\nidentity = 0.5\n", True),
        ('[loss]\nidentity = 0.5\nidentity_net = "other"\n', False),
        ("[loss]\nidentity = 0\n[[recipe.stages]]\n[recipe.stages.loss]\nidentity = 1\n", True),
        ('identity = "ann"\n', False),
        ('[loss]\nidentity = 0.0\n[[phases]]\nuntil = 1.0\nset = { "loss.identity" = 0.2 }\n', True),
    ],
)
def test_an_embedder_with_a_weight_is_in_the_loss(tmp_path, text, expected):
    (tmp_path / "config.toml").write_text(text)
    (tmp_path / "swapper").mkdir()
    assert embedder_in_loss(tmp_path, DLIB) is expected
    assert embedder_in_loss(tmp_path / "swapper", DLIB) is expected


def test_without_settings_it_is_not_known(tmp_path):
    assert embedder_in_loss(tmp_path / "swapper", DLIB) is None


@pytest.mark.parametrize("data", [b"[loss", b"\xff\xfe", b"#" * (2 << 20)])
def test_damaged_settings_are_refused(tmp_path, data):
    (tmp_path / "config.toml").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"config\.toml"):
        embedder_in_loss(tmp_path, DLIB)
