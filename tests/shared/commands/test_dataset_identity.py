"""``assay dataset identity``: who signs, and what it says when it is called wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.commands.dataset_identity import identity
from shared.console import console
from shared.errors import UsageError
from shared.provenance.identity import SigningIdentity


def test_it_shows_who_signs(capsys: pytest.CaptureFixture[str]):
    console.configure(quiet=True, json_mode=True)
    identity()
    console.configure()
    said = json.loads(capsys.readouterr().out)
    who = SigningIdentity.load_or_create()
    assert (said["name"], said["fingerprint"]) == (who.name, who.fingerprint)
    identity(local=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"certificate": Path("c.pem")},
        {"key": Path("k.pem")},
        {"certificate": Path("c"), "key": Path("k"), "local": True},
    ],
)
def test_half_a_choice_is_refused(wrong: dict[str, Path]):
    with pytest.raises(UsageError, match="go together"):
        identity(**wrong)  # type: ignore[arg-type]
