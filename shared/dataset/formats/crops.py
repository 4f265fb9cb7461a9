"""Sets of face crops without videos: WildDeepfake (tar archives) and DF40 (folders)."""

from __future__ import annotations

from pathlib import Path

from shared.dataset.formats.archive import folders_of
from shared.dataset.formats.found import FoundClip, Packed, Scan, ScanOptions, unknown
from shared.dataset.formats.registry import IMPORTERS
from shared.dataset.formats.tree import Findings, folders_in, split_word
from shared.dataset.names import safe_name
from shared.errors import MediaError
from shared.types import Kind, Split

_ENTIRE_FACES = frozenset(
    {"VQGAN", "StyleGAN2", "StyleGAN3", "StyleGANXL", "SD2.1", "DDPM", "RDDM", "PixArt", "DiT", "SiT"}
)
_NO_CLIPS = frozenset({"landmarks", "masks", "mask"})


@IMPORTERS.register("wilddeepfake")
def scan_wilddeepfake(root: Path, options: ScanOptions) -> Scan:
    """WildDeepfake (Zi et al., ACM MM 2020): ``{real,fake} {train,test}/N.tar.gz``, face crops of videos from the net.

    Each folder of pictures in an archive is a clip. People are not named: sequences of one archive share an identity.

    Raises:
        UsageError: no such folder.
    """
    found = Findings(root)
    places = [place for top in (root, *folders_in(root)) for place in folders_in(top)]
    for place in places:
        words = set(place.name.lower().replace("_", " ").replace("-", " ").split())
        split, fake = split_word(place.name), "fake" in words
        if split is None or not words & {"real", "fake"}:
            continue
        for path in found.files(place, (".gz", ".tgz", ".tar")):
            _archive(found, path, split, fake=fake)
    if not found.clips:
        found.issue("missing", root, "no folder called 'real train', 'fake test' and so on holds archives")
    return found.done()


@IMPORTERS.register("df40")
def scan_df40(root: Path, options: ScanOptions) -> Scan:
    """DF40 (Yan et al., NeurIPS 2024): ``METHOD/{ff,cdf}/.../CLIP/N.png``, and ``METHOD/{fake,real}/...`` of the rest.

    Each folder of pictures is a clip. In the set's protocol val and test are one; the split is taken from a folder name
    with train or test (``DF40_train``), else there is none. A name such as ``000_003`` gives target and source, with
    the domain (``ff``, ``cdf``) as prefix, so that ids of two sets differ.

    Raises:
        UsageError: no such folder.
    """
    found = Findings(root)
    for place, pictures in found.sequences(root):
        parts = [part for part in place.relative_to(root).parts if part != "frames"]
        if _NO_CLIPS & set(parts) or not parts:
            continue
        split = split_word(root.name)
        if split_word(parts[0]) and len(parts) > 1:
            split, parts = split_word(parts[0]), parts[1:]
        clip = _df40_clip(parts, split)
        found.add(
            FoundClip(media=pictures, where=found.where(place), **clip)  # type: ignore[arg-type]
        )
    found.note("DF40's val and test are one set; do not choose a model on it and measure on it too")
    return found.done()


def _df40_clip(parts: list[str], split: Split | None) -> dict[str, object]:
    domain = next((part for part in parts[1:] if part in ("ff", "cdf", "real", "fake")), "")
    real = "real" in parts[:-1] or parts[0] == "real"
    method = safe_name(parts[0])
    name = safe_name("-".join(part for part in parts[1:] if part not in ("real", "fake")) or parts[0])
    target, underscore, source = parts[-1].partition("_")
    known = domain in ("ff", "cdf") and bool(underscore) and bool(source) and not real
    kind: Kind = "real" if real else "generate" if method in _ENTIRE_FACES else "swap"
    if domain == "cdf":
        source = source.partition("_")[0]
    return {
        "name": f"{method}-{name}" if real else name,
        "target": f"{domain}-{safe_name(target)}" if known else unknown(f"{method}-{name}"),
        "manipulation": None if real else method,
        "kind": kind,
        "source": None if real else f"{domain}-{safe_name(source)}" if known else unknown(f"source-{method}-{name}"),
        "split": split,
    }


def _archive(found: Findings, path: Path, split: Split, *, fake: bool) -> None:
    number = safe_name(path.name.split(".")[0])
    label = "fake" if fake else "real"
    try:
        folders = folders_of(path)
    except MediaError as error:
        found.issue("damaged", path, str(error))
        return
    for reason in folders.refused:
        found.issue("outside", path, reason)
    if not folders.counts:
        found.issue("damaged", path, "it holds no pictures")
    for folder in folders.counts:
        tail = folder.rstrip("/").split("/")[-1] if folder else ""
        several = len(folders.counts) > 1
        name = safe_name(f"{label}-{split}-{number}-{folder.replace('/', '-') if several else tail}".rstrip("-"))
        found.add(
            FoundClip(
                name=name,
                media=Packed(path, folder),
                where=f"{found.where(path)}:{folder}",
                target=f"wild-{label}-{split}-{number}",
                manipulation="in-the-wild" if fake else None,
                kind="swap" if fake else "real",
                source=unknown(name) if fake else None,
                split=split,
            )
        )
