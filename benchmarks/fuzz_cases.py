"""Hostile input for the commands, drawn by a seed: media, archives, datasets, facesets, checkpoints, settings, names.

Each kind of case takes something sound that the commands made themselves, or what they never made, damages it, and
gives the command line that is to take it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from benchmarks import fuzz_media
from benchmarks import material as words_of
from benchmarks.fuzz_media import Case, Setting, copied
from benchmarks.mutations import changed_value, mutated, name_for, value_for
from shared.config import read_toml, to_mapping
from shared.errors import AssayError, ConfigError
from shared.storage import decode_json, read_json


def reseal(folder: str) -> None:
    """Seals the dataset as it stands, where its lines can be read at all."""
    from shared.dataset import DatasetFolder

    with suppress(AssayError):
        DatasetFolder.open(Path(folder)).seal()


def _dump(document: Any, path: Path) -> None:
    """As the file's suffix says; what its language cannot say is said anyway."""
    if path.suffix == ".toml":
        try:
            text = tomli_w.dumps(document)
        except (TypeError, ValueError, AttributeError):
            text = "\n".join(f"{json.dumps(str(key))} = {json.dumps(value)}" for key, value in dict(document).items())
    else:
        text = json.dumps(document, ensure_ascii=False)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))


def _changed_file(at: Setting, path: Path) -> str:
    """One value of a TOML, JSON, JSONL, Parquet or safetensors file changed, or its bytes."""
    if at.chance(0.25):
        how, data = mutated(path.read_bytes(), at.rng)
        path.write_bytes(data)
        return f"{path.name}: {how}"
    if path.suffix == ".toml":
        where, document = changed_value(read_toml(path), at.rng)
        _dump(document if isinstance(document, dict) else {"a": document}, path)
    elif path.suffix == ".jsonl":
        lines = path.read_bytes().splitlines()
        number = int(at.rng.integers(len(lines)))
        where, document = changed_value(decode_json(lines[number], dict, path, error=ConfigError), at.rng)
        lines[number] = json.dumps(document).encode()
        path.write_bytes(b"\n".join(lines) + b"\n")
    elif path.suffix == ".parquet":
        where = _changed_table(at, path)
    elif path.suffix == ".safetensors":
        where = _changed_tensors(at, path)
    else:
        where, document = changed_value(read_json(path, dict, error=ConfigError), at.rng)
        _dump(document, path)
    return f"{path.name}: {where}"


def _changed_table(at: Setting, path: Path) -> str:
    table = pq.read_table(path)
    name = at.one(*table.column_names)
    place = table.column_names.index(name)
    kind = at.one("drop", "value", "value", "type", "rows")
    if kind == "drop":
        table = table.drop_columns([name])
    elif kind == "rows":
        table = at.one(table.slice(0, 0), table.slice(1), pa.concat_tables([table, table]))
    elif kind == "type":
        table = table.set_column(
            place, name, pa.array([str(value_for(at.rng))[:50].encode("utf-8", "replace")] * len(table))
        )
    else:
        values = table[name].to_pylist()
        values[int(at.rng.integers(len(values)))] = value_for(at.rng)
        with suppress(pa.ArrowException, ValueError, OverflowError, TypeError):
            table = table.set_column(place, name, pa.array(values, table.schema.field(name).type, from_pandas=False))
    pq.write_table(table, path)
    return f"{name}, {kind}"


def _changed_tensors(at: Setting, path: Path) -> str:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    where, document = changed_value(decode_json(data[8 : 8 + length], dict, path, error=ConfigError), at.rng)
    header = json.dumps(document).encode()
    claimed = len(header) if at.chance(0.9) else at.one(0, 1, 2**31, 2**63)
    path.write_bytes(claimed.to_bytes(8, "little") + header + data[8 + length :])
    return where


def _dataset(at: Setting) -> Case:
    """A set whose manifest, tables, seal or masks were changed; half of them sealed again."""
    place = copied(at, at.material.dataset)
    names = ("manifest.jsonl", "manifest.jsonl", "manifest.jsonl", "frames.parquet", "dataset.toml", "dataset.sig")
    media = [*place.glob("m*/**/*.m*")]
    path = at.one(*media) if at.chance(0.15) else place / at.one(*names)
    if path.suffix in (".mkv", ".mp4"):
        how, data = mutated(path.read_bytes(), at.rng)
        path.write_bytes(data)
    else:
        how = _changed_file(at, path)
    clip, out = at.material.clips[".mp4"], at.folder / "out"
    line = at.one(
        words_of.add_words(place, clip),
        words_of.swap_words(clip, at.material.swapper, place),
        ("dataset", "verify", str(place)),
        ("dataset", "show", str(place)),
        ("dataset", "split", str(place)),
        ("dataset", "export", str(place), at.one("huggingface", "faceforensics", "webdataset"), str(out)),
        _evaluate_words(at, place),
        words_of.detect_words(place, out),
    )
    return Case(f"set, {path.name}: {how}", line, place if at.chance(0.5) else None)


def _evaluate_words(at: Setting, dataset: Path) -> tuple[str, ...]:
    detector = str(at.material.detector)
    out = str(at.folder / "out")
    return ("detect", "evaluate", detector, str(dataset), "--split", "all", "--out", out, *words_of.QUICK)


def _faceset(at: Setting) -> Case:
    place = copied(at, at.material.faces[0])
    path = at.one(
        place / "faceset.toml", place / "faces.parquet", place / "faces.parquet", *(place / "crops").glob("*7.png")
    )
    if path.suffix == ".png":
        how, data = mutated(path.read_bytes(), at.rng)
        path.write_bytes(data)
    else:
        how = _changed_file(at, path)
    line = at.one(
        words_of.train_words((place, at.material.faces[1]), at.folder / "run"),
        ("faces", "show", str(place), "--deep", "--sheet", str(at.folder / "sheet.jpg")),
    )
    return Case(f"faceset, {how}", line)


def _checkpoint(at: Setting) -> Case:
    """A run, a swapper or a detector that was changed, used or gone on with."""
    swapper = at.chance(0.5)
    place = copied(at, at.material.swapper if swapper else at.material.detector)
    found = [path for path in place.rglob("*") if path.suffix in (".toml", ".json", ".jsonl", ".safetensors")]
    path = at.one(*sorted(found))
    how = _changed_file(at, path)
    clip, out = at.material.clips[".mp4"], at.folder / "out"
    dataset = at.material.dataset if swapper else copied(at, at.material.dataset)
    if swapper:
        line = at.one(
            words_of.swap_words(clip, place, out),
            words_of.swap_words(clip, place / "swapper", out),
            words_of.train_words(at.material.faces, place, steps=3),
        )
    else:
        line = at.one(
            words_of.inspect_words(clip, place, out),
            words_of.inspect_words(clip, place / "detector", out),
            words_of.detect_words(dataset, place, steps=3),
            words_of.score_words(dataset, place, out, split="val"),
        )
    return Case(f"run, {how}", line)


def _settings(at: Setting) -> Case:
    """A settings file with a value out of place, or that is none."""
    from detect.config.scoring import EvaluateConfig
    from detect.config.training import TrainConfig as DetectConfig
    from detect.inspection.inspect import InspectConfig
    from forge.swapping.config import SwapConfig
    from forge.training.config import TrainConfig

    clip, out, dataset = at.material.clips[".mp4"], at.folder / "out", copied(at, at.material.dataset)
    lines: list[tuple[object, tuple[str, ...]]] = [
        (SwapConfig(), words_of.swap_words(clip, at.material.swapper, out)),
        (TrainConfig(), words_of.train_words(at.material.faces[:2], out)),
        (DetectConfig(), words_of.detect_words(dataset, out)),
        (InspectConfig(), words_of.inspect_words(clip, at.material.detector, out)),
        (EvaluateConfig(), _evaluate_words(at, dataset)),
    ]
    file = at.folder / "settings.toml"
    number = int(at.rng.integers(len(lines) + 2))
    if number >= len(lines):
        document = read_toml(at.material.settings)
        line: tuple[str, ...] = ("forge", "build", str(file), "--out", str(out), "--jobs", "1")
        line = line if number > len(lines) else (*line, "--dry-run")
    else:
        document, line = to_mapping(lines[number][0]), (*lines[number][1], "--config", str(file))
    where, document = changed_value(document, at.rng)
    _dump(document, file)
    if number >= len(lines):
        for who in words_of.PEOPLE[:2]:
            shutil.copy(at.material.settings.with_name(f"{who}.mp4"), at.folder)
    if at.chance(0.15):
        how, data = mutated(file.read_bytes(), at.rng)
        file.write_bytes(data)
        where = f"{where}, {how}"
    return Case(f"settings: {where}", line)


def _lists(at: Setting) -> Case:
    """The lists of other people's sets."""
    root = at.folder / "them"
    root.mkdir()
    shutil.copy(at.material.clips[".mp4"], root / "aa.mp4")
    if at.chance(0.5):
        rows = [
            ["path", "label", "identity", "source", "manipulation", "split"],
            ["aa.mp4", "real", "ann", "", "", "train"],
        ]
        rows[1][int(at.rng.integers(6))] = str(value_for(at.rng))
        data = "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")
        layout, name = "csv", "list.csv"
    else:
        _, document = changed_value({"aa.mp4": {"label": "REAL", "split": "train", "original": None}}, at.rng)
        data = json.dumps(document).encode()
        layout, name = "dfdc", "metadata.json"
    how = "a value"
    if at.chance(0.3):
        how, data = mutated(data, at.rng)
    (root / name).write_bytes(data)
    return Case(f"{name}: {how}", words_of.import_words(layout, root, at.folder / "out"))


def _names(at: Setting) -> Case:
    """Names of files, people and clips."""
    name = name_for(at.rng)
    clip, out = at.folder / "clip.mp4", at.folder / "out"
    with suppress(OSError, ValueError):
        hostile = at.folder / os.path.basename(f"{name}.mp4")  # noqa: PTH119 - the name is no path
        shutil.copy(at.material.clips[".mp4"], hostile)
        clip = hostile
    if not clip.exists():
        shutil.copy(at.material.clips[".mp4"], clip)
    name = name.replace("\x00", "\x01")
    lines = [
        words_of.extract_words(clip, out, identity=name),
        words_of.add_words(copied(at, at.material.dataset), clip, identity=name, name=at.one(name, None)),
        (*words_of.swap_words(clip, at.material.swapper, out, person=name), "--name", at.one(name, "x")),
        words_of.inspect_words(clip, at.material.detector, out),
        ("dataset", "init", str(at.folder / "new"), "--name", name),
    ]
    return Case(f"name {name[:20]!r}", at.one(*lines))


KINDS: dict[str, tuple[Callable[[Setting], Case], int]] = {
    "video": (fuzz_media.video, 30),
    "crafted": (fuzz_media.crafted, 8),
    "metadata": (fuzz_media.metadata, 5),
    "sound": (fuzz_media.sound, 6),
    "pictures": (fuzz_media.pictures, 8),
    "archive": (fuzz_media.archive, 6),
    "dataset": (_dataset, 12),
    "faceset": (_faceset, 6),
    "checkpoint": (_checkpoint, 9),
    "settings": (_settings, 12),
    "lists": (_lists, 4),
    "names": (_names, 4),
}
"""Each kind with its share of the cases."""


def draw(at: Setting) -> tuple[str, Case]:
    """A case of one kind, by the setting's generator."""
    shares = np.array([share for _, share in KINDS.values()], float)
    kind = list(KINDS)[int(at.rng.choice(len(KINDS), p=shares / shares.sum()))]
    at.folder.mkdir(parents=True)
    return kind, KINDS[kind][0](at)
