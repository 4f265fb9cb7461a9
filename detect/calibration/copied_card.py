"""The model card of a copy of a detector that is calibrated anew: what is told of the former calibration is marked."""

from __future__ import annotations

import re

from detect.calibration.card import with_sections
from detect.models.shipped import SHIPPED

TITLE = "Where the weights came from"

_ORIGIN = re.compile(r"The weights are those of (.+?), unchanged")
_SHIPPED_IN_COMMAND = re.compile(rf"(--detector|detect (?:evaluate|export|calibrate)) {SHIPPED}(?![\w-])")
_SECTION = r"^## {title}\n(.*?)(?=^## |\Z)"
_ITEM = re.compile(r"^\* .*?(?=^\* |^\n|\Z)", re.MULTILINE | re.DOTALL)
_OF_CALIBRATION = re.compile(r"likelihood ratio|Cllr|prediction set|calibrat", re.IGNORECASE)
_FORMER = "Measured with the original's calibration, not with this one:"
_PARTS_OF_CALIBRATION = ("Data and rights", "How it was made")


def card_of_copy(card: str, origin: str, weights_sha256: str, fitted_on: str) -> str:
    """The card of a copy of the detector ``origin`` whose calibration is another.

    Items of "Limits" on ratios or calibration were measured with the original's: they stand, marked so, in a section
    of their own. A copy of a copy names the first origin. Commands name this folder instead of the detector in the
    package.

    Args:
        card: of the original, Markdown, with the sections of the new calibration.
        origin: what the original is called.
        weights_sha256: of the weights, which both have.
        fitted_on: the clips of the new calibration.
    """
    earlier = _section(card, TITLE)
    named = _ORIGIN.search(earlier)
    limits = _section(card, "Limits")
    former = [item for item in _ITEM.findall(limits) if _OF_CALIBRATION.search(item)]
    card = _SHIPPED_IN_COMMAND.sub(r"\1 THIS_FOLDER", card)
    for item in former:
        card = card.replace(item, "", 1)
    text = (
        f"The weights are those of {named[1] if named else origin}, unchanged (SHA-256 `{weights_sha256}`), and so are "
        "the threshold and what this card says of training and validation. Calibration and validated domain are this "
        f"copy's own, fitted on {fitted_on}.\n"
    )
    if any(re.search(r"calibration", _section(card, title)) for title in _PARTS_OF_CALIBRATION):
        titles = " and ".join(f'"{title}"' for title in _PARTS_OF_CALIBRATION)
        text += f"\nPeople and facesets of a calibration that {titles} list are those of the original's.\n"
    told = "".join(former).rstrip() or _former_of(earlier)
    if told:
        text += f"\n{_FORMER}\n\n{told}\n"
    return with_sections(card, {TITLE: text})


def _section(card: str, title: str) -> str:
    """The text of a section; empty without it."""
    found = re.search(_SECTION.format(title=re.escape(title)), card, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def _former_of(section: str) -> str:
    """What an earlier copy's section says of the original's calibration."""
    return section.partition(_FORMER)[2].strip()
