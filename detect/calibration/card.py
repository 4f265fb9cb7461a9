"""Sections of the model card on calibration and validated domain."""

from __future__ import annotations

import re
from pathlib import Path

from detect.calibration.domain import Domain
from detect.calibration.files import PICTURE_NAME
from detect.calibration.maps import Calibration
from detect.models.checkpoint import CARD_NAME
from shared.results.scores import Evaluation
from shared.storage import write_text

NOT_CALIBRATED = (
    "None: the score is not a probability, and no likelihood ratio has been fitted to it. "
    "`assay detect calibrate THIS_FOLDER --dataset SET` fits both."
)

CALIBRATION_WORDS = {
    "cllr": "Cllr, bits: 0 is perfect, 1 says nothing",
    "cllr_min": "its discrimination part",
    "cllr_cal": "its calibration part",
    "ece": "ECE of the probability",
    "brier": "Brier score of the probability",
    "log_loss": "log loss of the probability",
}
"""Description of each metric."""

_TITLES = ("Calibration", "Validated domain")


def calibration_text(calibration: Calibration) -> str:
    """The card's section on calibration, Markdown."""
    ratio = calibration.likelihood
    rows = "".join(
        f"| {CALIBRATION_WORDS.get(each.metric, each.metric)} | {each.value:.3f} | {_interval(each)} |\n"
        for each in calibration.quality
    )
    return (
        f"Probabilities by {calibration.probability.method}, at a prior of {calibration.prior:g}; likelihood ratios by "
        f"{ratio.method}, bounded to log10 {ratio.lower_bound:+.2f} to {ratio.upper_bound:+.2f} (ELUB).\n\n"
        f"Fitted on {calibration.population}{_faces(calibration)}; each of these counts once in its class. "
        f"Measured on people who were left out of the fit, in {calibration.left_out}:\n\n"
        f"| | value | 95 % interval |\n|---|---|---|\n{rows}\n![reliability, Tippett, PAV]({PICTURE_NAME})\n"
    )


def domain_text(domain: Domain) -> str:
    """The card's section on the validated domain, Markdown."""
    rows = "".join(f"| {name} | {seen} |\n" for name, seen in domain.rows())
    return (
        f"Found on {domain}. For files outside of this, by more than a tenth, the numbers above say nothing, and "
        f"`assay inspect` says so.\n\n| | 1st to 99th percentile, or what was seen (clips) |\n|---|---|\n{rows}"
    )


def write_card_sections(home: Path, calibration: Calibration, domain: Domain) -> Path:
    """Replaces the card's sections on calibration and domain, or puts them before "Limits", or at the end.

    Returns:
        The card's path.

    Raises:
        StorageError: writing failed.
    """
    path = home / CARD_NAME
    card = path.read_text(encoding="utf-8") if path.is_file() else ""
    texts = (calibration_text(calibration), domain_text(domain))
    write_text(path, with_sections(card, dict(zip(_TITLES, texts, strict=True))))
    return path


def with_sections(card: str, sections: dict[str, str]) -> str:
    """``card`` with each section replaced by its title, new ones before "Limits" or at the end."""
    for title in sections:
        card = re.sub(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", "", card, flags=re.MULTILINE | re.DOTALL)
    text = "".join(f"## {title}\n\n{body.rstrip()}\n\n" for title, body in sections.items())
    head, limits, tail = card.partition("## Limits\n")
    if not limits:
        return f"{card.rstrip()}\n\n{text}".lstrip()
    return f"{head.rstrip()}\n\n{text}{limits}{tail}"


def _faces(calibration: Calibration) -> str:
    """The finder and the number of frames, if the calibration has them."""
    frames = f" in {calibration.frames_per_clip} frames a clip" if calibration.frames_per_clip else ""
    return f", faces found by {calibration.finder}{frames}" if calibration.finder else ""


def _interval(evaluation: Evaluation) -> str:
    if evaluation.low is None or evaluation.high is None:
        return "no interval"
    return f"{evaluation.low:.3f} to {evaluation.high:.3f}"
