"""Audits a dataset: measures shortcuts, and finds people and pictures in two splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

import shared
from shared.bootstrap import BootstrapSettings
from shared.config import to_mapping
from shared.console import ShowProgress, silent
from shared.dataset.audit.areas import estimate_area
from shared.dataset.audit.config import AuditConfig
from shared.dataset.audit.faces import NOBODY, FaceBoxes, all_labelled, found_faces, labelled_faces
from shared.dataset.audit.findings import WHOLE, AuditReport, Curve, DuplicatePair, ProbeFinding, verdict_for
from shared.dataset.audit.hashes import NearPair, Thumbs, near_pairs
from shared.dataset.audit.identities import IdentityFindings, LikePair, find_same_people
from shared.dataset.audit.probes import (
    FACE,
    Partition,
    Probe,
    has_something,
    labels_of,
    make_plan,
    probes_for,
    score_clips,
    suits,
    telling_facts,
)
from shared.dataset.audit.samples import ClipSample, read_samples
from shared.dataset.commit import frame_tables, standing_seal
from shared.dataset.folder import DatasetFolder
from shared.dataset.layout import MANIFEST
from shared.dataset.splits import find_leaks
from shared.errors import FinderError, ManifestError, ProvenanceError, WeightsError
from shared.faces.finders.finder import FaceFinder
from shared.storage import sha256_file
from shared.types import ClipId, ClipRecord

SELF_SWAPS = "self-swaps"
CACHE = "features"


@dataclass(frozen=True, eq=False)
class _Part:
    """A subset of the clips, with their samples."""

    name: str
    records: Sequence[ClipRecord]
    samples: Sequence[ClipSample]


def audit_dataset(
    folder: Path,
    *,
    out: Path,
    config: AuditConfig = AuditConfig(),  # noqa: B008 - frozen
    progress: ShowProgress = silent,
) -> tuple[AuditReport, list[Curve]]:
    """Audits the dataset at ``folder``: the report, and the ROC curves of the probes on all clips.

    Args:
        folder: the dataset. It is not written, and not verified.
        out: folder of the report; features of each clip are cached in its folder ``features/``, for further runs with
            other settings of the probes.
        config: the settings.
        progress: makes a progress bar from a description and a total.

    Raises:
        ManifestError: the folder is not a dataset, holds one class only, or no clip of a class can be read.
        StorageError: ``out`` cannot be written.
    """
    dataset = DatasetFolder.open(folder)
    manifest = sha256_file(folder / MANIFEST)
    records = dataset.records()
    if len({record.label for record in records}) < 2:
        raise ManifestError(f"{folder} has clips of one class only", hint="an audit needs real clips and fakes")
    faces, origin = _faces(folder, records, config, progress)
    with progress("reading", len(records)) as tick:
        samples, unread = read_samples(folder, records, faces, config, cache=out / CACHE, tick=tick)
    readable = [record for record in records if record.id in samples]
    if len({record.label for record in readable}) < 2:
        raise ManifestError(f"{folder}: the clips of a class cannot be read", hint="assay dataset verify says why")
    parts = _parts(readable, samples)
    findings: list[ProbeFinding] = []
    curves: list[Curve] = []
    for part in parts:
        found, part_curves = _run_probes(part, config)
        findings += found
        curves += part_curves if part.name == WHOLE else []
    people = _same_people(folder, readable, faces, config)
    duplicates = _duplicates(readable, samples, config)
    report = AuditReport(
        dataset=dataset.name,
        clips=len(records),
        method=make_plan(parts[0].records, config).describe(),
        faces=origin,
        findings=tuple(findings),
        identities=people,
        duplicates=tuple(duplicates),
        shortcuts=tuple(_in_words(finding) for finding in findings if finding.verdict == "shortcut"),
        leaks=(*(f"{leak}." for leak in find_leaks(records)), *map(_picture_leak, duplicates)),
        questions=tuple(map(_question, people.alike)),
        unread={str(clip): reason for clip, reason in unread.items()},
        settings=to_mapping(config),
        tool_version=shared.__version__,
        manifest_sha256=manifest,
    )
    return report, curves


def is_self_swap(record: ClipRecord) -> bool:
    """Whether a fake has the same source and target person."""
    return record.label == "fake" and record.source_identity == record.target_identity


def _faces(
    folder: Path, records: Sequence[ClipRecord], config: AuditConfig, progress: ShowProgress
) -> tuple[dict[ClipId, FaceBoxes], str]:
    """Faces of every clip, and a description of their origin."""
    try:
        seal, drafts = standing_seal(folder)
        waiting = [record.id for record in records if str(record.id) not in seal.clips]
    except ProvenanceError:
        waiting, drafts = [record.id for record in records], None
    labelled = labelled_faces(frame_tables(folder, waiting, drafts=drafts))
    finder = None if all_labelled(records, labelled) else _finder(config)
    if finder is None:
        return {record.id: labelled.get(str(record.id), NOBODY) for record in records}, "as the set labels them"
    with progress("finding faces", len(records)) as tick:
        return found_faces(folder, records, finder, tick=tick), f"as {finder.name} finds them: too few are labelled"


def _finder(config: AuditConfig) -> FaceFinder | None:
    from shared.faces.finders.finder import make_finder

    try:
        return None if config.finder == "none" else make_finder(config.finder)
    except (FinderError, WeightsError):
        return None


def _parts(records: Sequence[ClipRecord], samples: dict[ClipId, ClipSample]) -> list[_Part]:
    """All clips except self-swaps; those of each rendition, if there are several; self-swaps with the real clips."""

    def part(name: str, chosen: Sequence[ClipRecord]) -> _Part:
        return _Part(name, chosen, [samples[record.id] for record in chosen])

    # If every fake is a self-swap, they are kept.
    has_others = any(record.label == "fake" and not is_self_swap(record) for record in records)
    main = [record for record in records if not (has_others and is_self_swap(record))]
    parts = [part(WHOLE, main)]
    renditions = sorted({record.rendition for record in main})
    for rendition in renditions if len(renditions) > 1 else []:
        chosen = [record for record in main if record.rendition == rendition]
        if len({record.label for record in chosen}) == 2:
            parts.append(part(rendition, chosen))
    selves = [record for record in records if record.label == "real" or is_self_swap(record)]
    if has_others and any(is_self_swap(record) for record in records):
        parts.append(part(SELF_SWAPS, selves))
    return parts


def _run_probes(part: _Part, config: AuditConfig) -> tuple[list[ProbeFinding], list[Curve]]:
    plan = make_plan(part.records, config)
    findings: list[ProbeFinding] = []
    curves: list[Curve] = []
    for probe in probes_for(part.samples):
        if not has_something(probe, part.samples):
            findings.append(_unmeasured(probe, part))
            continue
        scores, strata = score_clips(probe, part.records, part.samples, plan, config)
        findings.append(_finding(probe, part, plan, scores, strata, config))
        seen = np.isfinite(scores)
        if seen.any():
            labels = labels_of(part.records)
            curves.append(Curve(probe.name, probe.title, labels[seen], _ranks(scores[seen], strata[seen])))
    return findings, curves


def _finding(
    probe: Probe, part: _Part, plan: Partition, scores: np.ndarray, strata: np.ndarray, config: AuditConfig
) -> ProbeFinding:
    labels, seen = labels_of(part.records), np.isfinite(scores)
    settings = BootstrapSettings(replicates=config.replicates, seed=config.seed)
    estimate = None
    if seen.any():
        estimate = estimate_area(labels[seen], scores[seen], plan.groups[seen], strata=strata[seen], settings=settings)
    verdict = verdict_for(estimate, is_face=probe is FACE, limit=config.limit, min_groups=config.min_groups)
    suited = np.array([suits(probe, sample) for sample in part.samples])
    silent = int((plan.tested & ~seen & suited).sum())
    note = f"{silent} tested clips show nothing of it" if silent else ""
    shortcut = verdict == "shortcut"
    return ProbeFinding(
        probe=probe.name,
        title=probe.title,
        part=part.name,
        area=None if estimate is None else round(estimate.value, 4),
        low=None if estimate is None or estimate.low is None else round(estimate.low, 4),
        high=None if estimate is None or estimate.high is None else round(estimate.high, 4),
        num_real=int((seen & ~labels).sum()),
        num_fake=int((seen & labels).sum()),
        groups=0 if estimate is None else estimate.clusters,
        verdict=verdict,
        telling=tuple(telling_facts(probe, part.records, part.samples)) if shortcut else (),
        advice=probe.advice if shortcut else "",
        note=note,
    )


def _unmeasured(probe: Probe, part: _Part) -> ProbeFinding:
    why = {"audio": "no clip has sound"}.get(
        probe.name, "no face is known, or it fills the picture" if probe.pixels else "nothing to look at"
    )
    return ProbeFinding(probe.name, probe.title, part.name, None, None, None, 0, 0, 0, "not measured", note=why)


def _ranks(scores: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Scores of several models on one scale: the rank of each in its fold, in (0, 1)."""
    ranks = np.zeros(len(scores))
    for stratum in np.unique(strata):
        here = strata == stratum
        ranks[here] = (rankdata(scores[here]) - 0.5) / here.sum()
    return ranks


def _same_people(
    folder: Path, records: Sequence[ClipRecord], faces: dict[ClipId, FaceBoxes], config: AuditConfig
) -> IdentityFindings:
    from shared.faces.identity import make_embedder

    finder, embedder = _finder(config), make_embedder()
    if config.finder == "none":
        return IdentityFindings(note="left out by the settings")
    if finder is None or embedder is None:
        return IdentityFindings(note="no finder or identity network is installed; pip install 'assay[dlib]'")
    return find_same_people(folder, records, faces, finder, embedder)


def _duplicates(
    records: Sequence[ClipRecord], samples: dict[ClipId, ClipSample], config: AuditConfig
) -> list[DuplicatePair]:
    pictures = [samples[record.id].thumbs for record in records]
    owners = np.repeat(np.arange(len(records)), [len(part) for part in pictures])
    thumbs = Thumbs.of(np.concatenate(pictures), owners)
    pairs = near_pairs(thumbs, [record.split for record in records], near_bits=config.near_bits)
    return [_named(records[pair.first], records[pair.second], pair) for pair in pairs]


def _named(first: ClipRecord, second: ClipRecord, pair: NearPair) -> DuplicatePair:
    splits = (first.split or "-", second.split or "-")
    return DuplicatePair(str(first.id), str(second.id), pair.pictures, pair.bits, splits)


def _in_words(finding: ProbeFinding) -> str:
    best = f"; most telling: {', '.join(finding.telling)}" if finding.telling else ""
    return (
        f"{finding.title} ({finding.part}): AUC {finding.area:.3f} [{finding.low:.3f}, {finding.high:.3f}]{best}. "
        f"{finding.advice[:1].upper()}{finding.advice[1:]}."
    )


def _picture_leak(pair: DuplicatePair) -> str:
    count = "a picture" if pair.pictures == 1 else f"{pair.pictures} pairs of pictures"
    return (
        f"{pair.first} ({pair.splits[0]}) and {pair.second} ({pair.splits[1]}) share {count}: the nearest hashes "
        f"differ in {pair.bits} of 64 bits, and the thumbnails correlate. Put both into one split or remove one."
    )


def _question(pair: LikePair) -> str:
    return (
        f"Look at these two: {pair.first} ({pair.people[0]}, {pair.splits[0]}) and {pair.second} ({pair.people[1]}, "
        f"{pair.splits[1]}) have faces at an embedding distance of {pair.distance:.2f}. That proves nothing: if you "
        "know them to be two people, all is well; if they are one, give them one name and split again."
    )
