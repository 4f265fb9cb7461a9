from __future__ import annotations

from benchmarks.app import SETTINGS
from benchmarks.shortcuts import markdown, measurements, without_controls
from forge.building.spec import load_spec
from shared.dataset.audit.findings import AuditReport, ProbeFinding
from shared.dataset.audit.identities import IdentityFindings


def _report() -> AuditReport:
    findings = (
        ProbeFinding("rate", "Packet sizes", "all clips", 0.9, 0.8, 0.97, 10, 40, 6, "shortcut"),
        ProbeFinding("rate", "Packet sizes", "c23", 0.52, 0.3, 0.7, 5, 20, 6, "none found"),
        ProbeFinding("audio", "Sound", "all clips", None, None, None, 0, 0, 0, "not measured"),
    )
    return AuditReport(
        dataset="d", clips=50, method="m", faces="labels", findings=findings, identities=IdentityFindings(),
        duplicates=(), shortcuts=("Packet sizes tell.",), leaks=(), unread={}, settings={}, tool_version="0",
    )  # fmt: skip


def test_the_careless_set_has_no_controls_and_one_rendition():
    spec = load_spec(SETTINGS / "set-300.toml")
    careless = without_controls(spec)
    assert (careless.set.controls, careless.renditions) == (False, spec.renditions[:1])
    assert careless.set.name != spec.set.name


def test_every_measured_probe_is_a_value_with_its_verdict():
    found = {one.name: one for one in measurements("controls", _report())}
    assert found["controls: Packet sizes (all clips)"].low == 0.8
    assert "shortcut" in found["controls: Packet sizes (all clips)"].note
    assert found["controls: shortcuts"].median == 1
    assert "controls: Sound (all clips)" not in found


def test_shortcuts_stand_out_in_the_table():
    lines = markdown(_report()).splitlines()
    assert lines[2] == "| Packet sizes | **0.90 [0.80, 0.97]** | 0.52 [0.30, 0.70] |"
    assert lines[3] == "| Sound |  |  |"
