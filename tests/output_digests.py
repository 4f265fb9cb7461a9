"""What a folder of outputs holds, as digests that equal work gives again.

The document::

    machine     what floating point depends on: processor, libraries
    digests     file -> key -> digest of the content
    portable    file -> key -> digest without numbers with a point and without hashes: equal on every machine
    structure   file -> keys, columns or tensors that are in it

How a file's content is told (:func:`content`), so that equal work gives equal digests:

* A SHA-256 of a file that was written (or its first 12 digits or more) is replaced by the file's name, wherever it is
  said: C2PA salts its signatures, so signed files differ each time, and so does all that names them by hash. A list
  of such hashes is put in order of the names. The name of the signer, which is drawn when a key is made, is ``#``.
* ``IGNORED`` lists by name what is left out of documents: clocks, speeds, versions, the machine, keys and signatures,
  sizes of signed files (each key makes signatures of a length of its own). The keys stay in ``structure``.
* JSON, JSON lines, TOML: a digest a key. Parquet: a digest a column. Safetensors: of all tensors by name, of their
  shapes, and of the metadata.
* Pictures: the pixels. Video: pixels and times of every frame, the packets of the sound; not the container's boxes,
  where the signature is. The SHA-256 of a clip before it was signed is in the records, and with it its exact bytes.
* HTML, Markdown: the text, without what ``IGNORED_TEXT`` matches.
* TensorBoard's events, locks: only that they are there.

Names: 12 or more hex digits, the number of a crop, a frame in a name of evidence and the tail of an events file are
written ``#``, and so are people and splits in a build's own work folder. Files whose names become one are told
together, under the sorted list of what they hold; their true names are under the key ``(names)`` where they have no
salt and no clock in them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors import safe_open

Keys = dict[str, Any]
"""A file's content: key to plain value."""

IGNORED: dict[str, tuple[str, ...]] = {
    "*run.json": ("started", "versions", "git", "platform", "processors"),
    "*swapper.toml": ("training.seconds", "training.assay"),
    "*checkpoints/*.safetensors": ("(assay).meta.seconds",),
    "*metrics.jsonl": ("seconds", "faces_per_second", "images_per_second", "data_share"),
    "*rates.json": ("*",),
    "*dataset.sig": (
        "certificates",
        "signature",
        "statement.roots",
        "statement.clips.*",
        "statement.series",
        "statement.number",
    ),
    "*frames.json": ("certificates", "signature", "statement.clip.tool_version"),
    "*manifest.jsonl": ("tool_version",),
    "*custody.json": (
        "modified",
        "status changed",
        "inspection started",
        "inspection ended",
        "seconds",
        "size_bytes",
        "sha512",
    ),
    "*log.jsonl": ("*",),
    "*case.json": ("*",),
    "*case.sha256": ("*",),
    # A signature has a length of its own, and with it every place behind it in the file.
    "*report.json": ("tool.assay", "tool.python", "tool.torch", "size_bytes", "sha512_intake", "evidence*"),
    "*report.html": ("*",),
    "*ready/#.json": ("sizes.media/*",),
}
"""File pattern to keys whose values are left out; ``*`` in a key stands for any part of it."""

IGNORED_TEXT = re.compile(r"Assay \d+\.\d+\.\d+|<th>(assay|python|torch)</th><td>[^<]*|>[\d,]+ bytes<")
"""What is left out of Markdown and HTML: versions, and the size of the file that was inspected."""

PORTABLE: dict[str, str] = {
    "*/config.toml": "*",
    "*/dataset.toml": "*",
    "*/manifest.jsonl": "*",
    "*/run.json": "*",
    "*/swapper.toml": "*",
    "*.safetensors": "(shapes)",
    "built/frames.parquet": "*",
    "faces/*/faces.parquet": "*",
    "faces/*/faceset.toml": "*",
    "redrawn/faceset.toml": "*",
    "set/README.md": "*",
    "set/frames.parquet": "*",
    "swapped/frames.json": "*",
}
"""File pattern to the pattern of keys that are compared on every machine, see :func:`_portable`."""

WITHOUT_NAMES = ("*.faces/*", "*/events/#")
"""Files whose true names hold a salt or a clock."""

_HEX = re.compile(r"[0-9a-f]{12,64}")
_PLACE = re.compile(r" at \d+")
_SIGNER = re.compile(r"(assay local signer) [0-9a-f]{8}")
_MARK = re.compile(r"\b(assay\.\w+\.\d+):[0-9a-f]{8}\b")
_DECIMAL = re.compile(r"-?\d+\.\d+(e-?\d+)?")


def describe(folder: Path) -> dict[str, Any]:
    """The document of everything in ``folder``; see the module's text."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = _names_by_hash(folder, paths)
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(plain_name(path.relative_to(folder).as_posix()), []).append(path)
    found: dict[str, Any] = {"machine": machine(), "digests": {}, "portable": {}, "structure": {}}
    for name, members in sorted(groups.items()):
        contents = [content(path, name, names) for path in members]
        found["structure"][name] = sorted({key for _, keys in contents for key in keys})
        told = [values for values, _ in contents]
        digests = {key: _digest_of([values.get(key) for values in told]) for key in _keys_of(told)}
        true_names = [path.relative_to(folder).as_posix() for path in members]
        if true_names != [name] and not _matches(name, WITHOUT_NAMES):
            digests["(names)"] = _digest_of(true_names)
        found["digests"][name] = digests
        if keys := [keys for pattern, keys in PORTABLE.items() if fnmatch(name, pattern)]:
            plain = [{k: _portable(value) for k, value in values.items() if _matches(k, keys)} for values in told]
            found["portable"][name] = {k: _digest_of([values.get(k) for values in plain]) for k in _keys_of(plain)}
    return found


def machine() -> dict[str, str]:
    """What the last bits of floating point, and the bytes of encoders, depend on."""
    packages = ("av", "c2pa-python", "dlib-bin", "matplotlib", "numpy", "opencv-python", "pillow", "pyarrow",
                "safetensors", "scikit-learn", "scipy", "timm", "torch", "torchvision")  # fmt: skip
    facts = {"python": platform.python_version(), "system": platform.system(), "processor": _processor()}
    facts["processors"] = str(os.cpu_count())
    facts["kernels"] = torch.backends.cpu.get_cpu_capability()
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            facts[package] = metadata.version(package)
    return facts


def _processor() -> str:
    wanted = ("vendor_id", "cpu family", "model", "model name", "flags")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return f"{facts.get('model name', platform.machine())} {_digest_of([facts.get(key) for key in wanted])}"


def plain_name(name: str) -> str:
    """A file's name without what is a hash, a count or a clock in it."""
    name = re.sub(r"/events/[^/]+$", "/events/#", name)
    name = re.sub(r"/crops/\d+\.", "/crops/#.", name)
    name = re.sub(r"-frame-\d+", "-frame-#", name)
    if name.startswith("built.build/"):
        name = re.sub(r"actor-\d+", "actor-#", re.sub(r"/light-(train|val|test)-", "/light-#-", name))
    return re.sub(r"\.faces/(.*/)?[0-9a-f#-]+(/|\.)", r".faces/#\2", _HEX.sub("#", name))


def content(path: Path, name: str, names: dict[str, str]) -> tuple[Keys, list[str]]:
    """A file's content by key, without what is ignored; and the keys, columns or tensors that are in it."""
    read = _READERS.get(path.suffix, _read_bytes)
    if "/events/" in name or path.name == ".lock":
        read = _read_nothing
    elif path.name == "dataset.sig":
        read = _read_json
    values, structure = read(path)
    ignored = [key for pattern, keys in IGNORED.items() if fnmatch(name, pattern) for key in keys]
    structure = sorted({_PLACE.sub(" at #", key) for key in structure})
    return {key: _renamed(value, names) for key, value in values.items() if not _matches(key, ignored)}, structure


def _names_by_hash(folder: Path, paths: list[Path]) -> dict[str, str]:
    """First 12 digits of a file's SHA-256 -> its name; of equal files the first. And the folder -> ``here``."""
    found = {str(folder): "here"}
    for path in paths:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found.setdefault(digest[:12], plain_name(path.relative_to(folder).as_posix()))
    return found


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_renamed(key, names): _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        found = [_renamed(inner, names) for inner in value]
        are_renamed = all(isinstance(inner, str) for inner in value) and found != list(value)
        return sorted(found) if are_renamed else found
    if not isinstance(value, str):
        return value
    folder, *_ = names
    here = _SIGNER.sub(r"\1 #", value.replace(folder, "<here>"))
    return _HEX.sub(lambda match: f"<{names[match[0][:12]]}>" if match[0][:12] in names else match[0], here)


def _portable(value: Any) -> Any:
    """The value without what depends on floating point: numbers with a point, and hashes."""
    if isinstance(value, dict):
        return {key: _portable(inner) for key, inner in value.items() if not _HEX.fullmatch(key)}
    if isinstance(value, list):
        return [_portable(inner) for inner in value]
    if isinstance(value, float):
        return "number"
    if not isinstance(value, str):
        return value
    # The value of a mark is a hash too, of what the swapper's weights are among.
    return _DECIMAL.sub("number", _HEX.sub("hash", _MARK.sub(r"\1:hash", value)))


def _keys_of(contents: list[Keys]) -> list[str]:
    return sorted({key for values in contents for key in values})


def _matches(text: str, patterns: Any) -> bool:
    return any(fnmatch(text, pattern) for pattern in patterns)


def _digest_of(value: Any) -> str:
    """Of one value as it is, of a list of one as of that one, of more without regard to their order."""
    if isinstance(value, list):
        told = sorted(json.dumps(each, sort_keys=True, default=str) for each in value)
        value = told[0] if len(told) == 1 else told
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _by_key(document: Any) -> tuple[Keys, list[str]]:
    """A document by its keys down to two levels; in the structure by all of them, ``[]`` for what is in lists."""
    values: Keys = {}
    for key, value in document.items() if isinstance(document, dict) else [("", document)]:
        if isinstance(value, dict) and value:
            values |= {f"{key}.{inner}": each for inner, each in value.items()}
            for inner, each in value.items():
                if isinstance(each, dict) and each:
                    values |= {f"{key}.{inner}.{last}": one for last, one in each.items()}
                    del values[f"{key}.{inner}"]
        else:
            values[key] = value
    return values, sorted(set(_all_keys(document)))


def _all_keys(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{prefix}.{_HEX.sub('#', key)}" if prefix else _HEX.sub("#", key)
            yield here
            yield from _all_keys(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from _all_keys(inner, f"{prefix}[]")


def _read_json(path: Path) -> tuple[Keys, list[str]]:
    return _by_key(json.loads(path.read_text(encoding="utf-8")))


def _read_toml(path: Path) -> tuple[Keys, list[str]]:
    return _by_key(tomllib.loads(path.read_text(encoding="utf-8")))


def _read_lines(path: Path) -> tuple[Keys, list[str]]:
    """By key, the values of all lines in order."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    keys = sorted({key for line in lines for key in line})
    return {key: [line.get(key) for line in lines] for key in keys}, keys


def _read_parquet(path: Path) -> tuple[Keys, list[str]]:
    table = pq.read_table(path)
    stored = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    facts = {f"({key})": value for key, value in stored.items() if key != "ARROW:schema"}
    return columns | facts, [*(f"{field.name}: {field.type}" for field in table.schema), *facts]


def _read_tensors(path: Path) -> tuple[Keys, list[str]]:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        stored = {
            f"({key})": json.loads(value) if key == "assay" else value for key, value in (file.metadata() or {}).items()
        }
    facts, structure = _by_key(stored)
    facts["(shapes)"] = {name: f"{value.dtype} {tuple(value.shape)}" for name, value in tensors.items()}
    flat = {name: value.contiguous().view(-1).view(torch.uint8).numpy() for name, value in tensors.items()}
    facts["(tensors)"] = {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in flat.items()}
    return facts, [*structure, *sorted({re.sub(r"\d+", "#", name) for name in tensors})]


def _read_picture(path: Path) -> tuple[Keys, list[str]]:
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    return {"": [pixels.shape, hashlib.sha256(pixels.tobytes()).hexdigest()]}, []


def _read_video(path: Path) -> tuple[Keys, list[str]]:
    values: Keys = {}
    with av.open(str(path)) as container:
        for stream in container.streams:
            digest = hashlib.sha256()
            frames = 0
            for packet in container.demux(stream):
                if stream.type == "video":
                    for frame in packet.decode():
                        frames += 1
                        digest.update(f"{frame.pts}".encode() + _pixels(frame))
                else:
                    digest.update(f"{packet.pts}".encode() + bytes(packet))
            facts = [stream.codec_context.name, str(stream.time_base), frames]
            values[f"{stream.type} {stream.index}"] = [*facts, digest.hexdigest()]
            container.seek(0)
    return values, sorted(values)


def _pixels(frame: av.VideoFrame) -> bytes:
    """As they are stored, or as RGB where that is a form with a byte to spare."""
    return frame.to_ndarray(format="rgb24" if frame.format.name == "bgr0" else None).tobytes()


def _read_text(path: Path) -> tuple[Keys, list[str]]:
    return {"": IGNORED_TEXT.sub("#", path.read_text(encoding="utf-8"))}, []


def _read_bytes(path: Path) -> tuple[Keys, list[str]]:
    return {"": hashlib.sha256(path.read_bytes()).hexdigest()}, []


def _read_nothing(path: Path) -> tuple[Keys, list[str]]:
    del path
    return {}, []


_READERS: dict[str, Callable[[Path], tuple[Keys, list[str]]]] = {
    ".json": _read_json,
    ".jsonl": _read_lines,
    ".toml": _read_toml,
    ".parquet": _read_parquet,
    ".safetensors": _read_tensors,
    ".png": _read_picture,
    ".jpg": _read_picture,
    ".mp4": _read_video,
    ".mkv": _read_video,
    ".m4a": _read_video,
    ".md": _read_text,
    ".html": _read_text,
}


def differences(recorded: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """A line for each file and key that one of two parts of documents has and the other has not, or has otherwise."""
    lines = [f"{name}: was written, is not now" for name in recorded if name not in found]
    lines += [f"{name}: is written now, was not" for name in found if name not in recorded]
    for name in recorded.keys() & found.keys():
        before, now = recorded[name], found[name]
        lines += [f"{name}: {key or 'its content'} is gone" for key in before if key not in now]
        lines += [f"{name}: {key or 'its content'} is new" for key in now if key not in before]
        if isinstance(before, dict):
            differ = (key for key in before.keys() & now.keys() if before[key] != now[key])
            lines += [f"{name}: {key or 'its content'} differs" for key in differ]
    return sorted(lines)


def written(document: dict[str, Any]) -> str:
    """The document as JSON, a line a file."""
    parts = []
    for part, entries in document.items():
        lines = (f"  {json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in entries.items())
        parts.append(f" {json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"
