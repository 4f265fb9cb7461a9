"""Sections of the model card on calibration and validated domain."""

from __future__ import annotations

import re
from pathlib import Path

from detect.calibration.domain import Domain
from detect.calibration.files import PICTURE_NAME
from detect.calibration.maps import Calibration
from detect.calibration.prediction_sets import percent
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


def known_words(known: bool | None) -> str:
    """Whether something is known, in a table: "yes", "no", or "not known" for None."""
    return {True: "yes", False: "no", None: "not known"}[known]


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
        f"\n{conformal_text(calibration)}\n{parts_text(calibration)}\n{outside_text(calibration)}\n"
    )


def conformal_text(calibration: Calibration) -> str:
    """What the prediction sets promise and what was measured, Markdown."""
    found = calibration.conformal
    if found is None:
        return f"{calibration.conformal_note or 'There are no prediction sets.'}\n"
    rows = "".join(
        f"| {name} | {limit.people} | {percent(1 - limit.miscoverage)} | {percent(limit.low)} to {percent(limit.high)} "
        f"| {limit.measured or 'not measured'} | {limit.alone or 'not measured'} |\n"
        for name, limit in (("real", found.real), ("fake", found.fake))
    )
    return (
        f"Conformal prediction sets over people: at most {percent(found.real.miscoverage)} of the real and "
        f"{percent(found.fake.miscoverage)} of the forged clips get a set without their class. That is promised "
        "for new people, and for manipulations like those calibrated on; for others, see below.\n\n"
        "| clips | people | promised | 95 % interval of this calibration | measured on people left out | no other "
        f"class in the set |\n|---|---|---|---|---|---|\n{rows}"
    )


def parts_text(calibration: Calibration) -> str:
    """The quality on each kind of fake, with and without such fakes in the fits, Markdown; empty without parts."""
    if not calibration.parts:
        return ""
    rows = "".join(
        f"| {part.by} {part.name} | {known_words(part.trained)} | {part.fake} | {part.people} | "
        f"{part.cllr_known:.3f} | {_number(part.cllr_new)} | {part.covered_known or ''} | {part.covered_new or ''} |\n"
        for part in calibration.parts
    )
    return (
        "By kind of fake, on people left out, by fits with and without such fakes of others:\n\n"
        "| kind | learned from | fakes | people | Cllr with | Cllr without | covered with | covered without |\n"
        f"|---|---|---|---|---|---|---|---|\n{rows}"
    )


def outside_text(calibration: Calibration) -> str:
    """How ratios held on tools that were not learned from, Markdown."""
    found = calibration.outside
    if found is None:
        return "No tool outside was measured: the ratios are bounded by this calibration alone.\n"
    covered = "; ".join(
        f"{share} of the {name} clips have their class in the prediction set, which is not promised"
        for name, share in (("real", found.covered_real), ("fake", found.covered_fake))
        if share is not None
    )
    lower, upper = calibration.bounds
    return (
        f"On tools that were not learned from ({found}: {', '.join(found.tools)}): Cllr {found.cllr:.3f}; the ratio "
        f'supports "forged" for {found.misled_real} of the real and "not forged" for {found.misled_fake} of the fake '
        f"clips{'; ' + covered if covered else ''}. There ratios between log10 {found.lower_bound:+.2f} and "
        f"{found.upper_bound:+.2f} are borne out, so reports give no ratio beyond {lower:+.2f} to {upper:+.2f}.\n"
    )


def _number(value: float | None) -> str:
    return "too few others" if value is None else f"{value:.3f}"


def domain_text(domain: Domain) -> str:
    """The card's section on the validated domain, Markdown."""
    rows = "".join(f"| {name} | {seen} |\n" for name, seen in domain.rows())
    return (
        f"Found on {domain}. For files outside of this, by more than a tolerance, the numbers above say nothing, and "
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
