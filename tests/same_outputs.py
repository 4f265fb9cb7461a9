"""Makes a little of everything through the command line, and digests of every file that was written.

    python tests/same_outputs.py OUT.json       # run in a temporary folder, then write the digests
    python tests/same_outputs.py OUT.json DIR   # the same, and keep what was made in DIR (which must not exist)

Procedural actors, fixed seeds, one thread, CPU. ``test_same_outputs.py`` holds what it gives against
``data/same_outputs.json``; when outputs change on purpose, write that file anew with this script.

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
import io
import json
import os
import platform
import re
import sys
import tempfile
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
_SEED = "3"
_CPU = ("--device", "cpu")
_EXACT = (*_CPU, "--precision", "float32")

_SWAPPER = """
model = "lightweight"
width = 0.05
steps = 100
batch = 2
holdout = 0.25
precision = "float32"
preview_every = 50
save_every = 50
"""

_SET = """
renditions = ["c23"]

[set]
name = "built"
finder = "sidecar"
min_face_px = 16
seed = 4

[faces]
px = 48
min_face_px = 16
embed_every = 0

[splits]
{splits}

{people}

[[swapper]]
name = "light"
steps = [2, 4]
settings = {{ model = "lightweight", width = 0.05, batch = 2, precision = "float32", preview_every = 100 }}

[[manipulation]]
name = "part"
swapper = "light"
steps = [4]
segments = {{ share = 0.5 }}
settings = {{ mask = {{ kind = "hull" }} }}

[[manipulation]]
name = "ladder"
swapper = "light"
pairs = "ring"
factors = {{ "color.method" = ["mean-std", "lct"] }}
combine = "sample:1"
self_swaps = false
"""

_DETECTOR = """
family = "meso4"
model = "meso4"
pretrained = false
input_px = 64
frames_per_clip = 3
steps = 12
batch = 4
warmup_steps = 2
lr = 0.01
ema_decay = 0.5
evaluate_every = 4
save_every = 6
precision = "float32"
workers = 1

[faces]
finder = "dlib"
min_face_px = 16
"""

_CALIBRATION = """
fewest_clips = 2
fewest_people = 2
replicates = 20
"""


def run(*arguments: str | Path) -> Any:
    """Runs one command line; the JSON document that it says, or None where it says nothing."""
    from shared.cli import run as run_command

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = run_command(["--quiet", "--json", *map(str, arguments)])
    if code != 0:
        raise RuntimeError(f"assay {' '.join(map(str, arguments))} ended with {code}")
    return json.loads(said.getvalue()) if said.getvalue().strip() else None


def film_cast(folder: Path, count: int, *, seconds: float = 0.48, px: int = 128) -> list[str]:
    """Films procedural actors into ``folder``, a clip each with its landmarks beside it; their names."""
    from shared.actors import cast, film

    actors = cast(count, 5)
    for actor in actors:
        film(actor, folder / f"{actor.name}.mp4", seconds=seconds, px=px, seed=1)
    return [actor.name for actor in actors]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Sums over other numbers of threads differ in their last bits."""
    before, cv_before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(cv_before)


def make_everything(folder: Path) -> None:
    """Makes a little of everything in ``folder``, which is made; all paths that commands see are relative to it."""
    folder.mkdir(parents=True)
    with contextlib.chdir(folder), one_thread():
        people = film_cast(Path("clips"), 6)
        _make_swapper(people)
        _make_small_set(people)
        _make_pictures(people)
        _build_set(people)
        _make_detector()


def _make_swapper(people: list[str]) -> None:
    for name in people[:4]:
        run("faces", "extract", f"clips/{name}.mp4", "--identity", name, "--rights", "synthetic", "--finder", "sidecar",
            "--px", "64", "--min-face-px", "16", "--out", f"faces/{name}")  # fmt: skip
    run("faces", "show", f"faces/{people[0]}", "--deep", "--sheet", "sheet.png")
    Path("swapper.settings.toml").write_text(_SWAPPER, encoding="utf-8")
    run("forge", "train", *(f"faces/{name}" for name in people[:4]), "--run", "swapper", "--config",
        "swapper.settings.toml", "--seed", _SEED, *_CPU)  # fmt: skip
    run("forge", "redraw", f"faces/{people[0]}", "--run", "swapper", "--source", people[1], "--out", "redrawn", *_CPU)


def _make_small_set(people: list[str]) -> None:
    target, source = people[:2]
    run("dataset", "init", "set", "--name", "set", "--license", "CC0-1.0")
    for name in people[:4]:
        finder = ("--finder", "dlib") if name == target else ()
        run("dataset", "add", "set", f"clips/{name}.mp4", "--identity", name, "--rights", "synthetic", *finder)
    run("forge", "swap", f"clips/{target}.mp4", *_swapping(target, source), "--out", "set")
    run("dataset", "split", "set", "--train", "0.5", "--val", "0.25", "--test", "0.25", "--seed", _SEED)
    run("dataset", "verify", "set")
    run("forge", "quality", "set", "--faces", f"faces/{source}", "--faces", f"faces/{target}", "--run", "swapper",
        "--finder", "dlib", "--out", "quality.json", *_CPU)  # fmt: skip


def _swapping(target: str, source: str) -> tuple[str, ...]:
    return ("--run", "swapper", "--source", source, "--target-identity", target, "--rights", "synthetic",
            "--finder", f"sidecar:clips/{target}.landmarks.parquet", "--seed", _SEED, *_CPU)  # fmt: skip


def _make_pictures(people: list[str]) -> None:
    target, source = people[:2]
    Path("pictures").mkdir()
    with av.open(f"clips/{target}.mp4") as container:
        for number, frame in zip(range(4), container.decode(video=0), strict=False):
            frame.to_image().save(f"pictures/{number:03d}.png")
    run("forge", "swap", "pictures", "--frames", *_swapping(target, source), "--out", "swapped")


def _build_set(people: list[str]) -> None:
    groups = {"train": people[:2], "val": people[2:4], "test": people[4:]}
    text = _SET.format(
        splits="\n".join(f"{split} = {names!r}" for split, names in groups.items()),
        people="\n".join(
            f'[[identity]]\nname = "{name}"\nrights = "synthetic"\nclips = ["clips/{name}.mp4"]' for name in people
        ),
    )
    Path("set.toml").write_text(text, encoding="utf-8")
    run("forge", "build", "set.toml", "--out", "built", "--jobs", "1")
    run("dataset", "verify", "built")


def _make_detector() -> None:
    Path("detector.settings.toml").write_text(_DETECTOR, encoding="utf-8")
    Path("calibration.settings.toml").write_text(_CALIBRATION, encoding="utf-8")
    run("detect", "train", "built", "--run", "detector", "--config", "detector.settings.toml", "--seed", _SEED, *_CPU)
    run("detect", "calibrate", "detector", "--dataset", "built", "--config", "calibration.settings.toml", "--frames",
        "3", *_EXACT)  # fmt: skip
    run("detect", "evaluate", "detector", "built", "--out", "evaluation", "--frames", "3", "--replicates", "50",
        *_EXACT)  # fmt: skip
    fake = next(path for path in sorted(Path("set/media").rglob("*.mp4")) if "real" not in path.parts)
    run("inspect", fake, "--detector", "detector", "--out", "case", *_CPU)


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


def main(arguments: list[str]) -> None:
    """See the module's text."""
    out = Path(arguments[0]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ASSAY_HOME"] = str(Path(scratch) / "home")
        made = Path(arguments[1]).resolve() if len(arguments) > 1 else Path(scratch) / "made"
        make_everything(made)
        out.write_text(written(describe(made)), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main(sys.argv[1:])
