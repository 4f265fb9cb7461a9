"""Hostile input for the commands, drawn by a seed: media, archives, datasets, facesets, checkpoints, settings, names.

Each kind of case takes something sound that the commands made themselves, or what they never made, damages it, and
gives the command line that is to take it.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w
from PIL import Image

from benchmarks import material as words_of
from benchmarks.material import Material
from benchmarks.mutations import CONTROLS, changed_value, flipped, mutated, name_for, value_for
from shared.config import read_toml, to_mapping
from shared.errors import AssayError, ConfigError
from shared.storage import decode_json, read_json
from shared.video.container import opened


@dataclass(frozen=True)
class Case:
    """A command line that takes something hostile; ``what`` says what was done to it."""

    what: str
    words: tuple[str, ...]
    reseal: Path | None = None
    """A dataset to be sealed first, so that what is behind the seal is reached too."""


@dataclass(frozen=True)
class Setting:
    """Where a case is made, of what, and what hostile files point at: a file and a port that nobody may touch."""

    rng: np.random.Generator
    material: Material
    folder: Path
    decoy: Path
    port: int

    def one(self, *choices: Any) -> Any:
        """One of ``choices``."""
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        """True in that share of the cases."""
        return bool(self.rng.random() < share)


def reseal(folder: str) -> None:
    """Seals the dataset as it stands, where its lines can be read at all."""
    from shared.dataset import DatasetFolder

    with suppress(AssayError):
        DatasetFolder.open(Path(folder)).seal()


def _video(at: Setting) -> Case:
    suffix = at.one(*at.material.clips)
    mp4 = suffix in (".mp4", ".mov", ".m4v")
    how, data = mutated(at.material.clips[suffix].read_bytes(), at.rng, mp4=mp4)
    named = at.one(suffix, suffix, suffix, ".mp4", ".png", ".tar", ".json", "")
    clip = at.folder / f"clip{named}"
    clip.write_bytes(data)
    return Case(f"{suffix} as {named or 'no suffix'}: {how}", _media_words(at, clip))


def _media_words(at: Setting, clip: Path) -> tuple[str, ...]:
    out = at.folder / "out"
    kind = at.one("extract", "swap", "add", "inspect", "import", "each")
    if kind == "extract":
        return words_of.extract_words(clip, out)
    if kind == "swap":
        return words_of.swap_words(clip, at.material.swapper, out)
    if kind == "inspect":
        return words_of.inspect_words(clip, at.material.detector, out)
    if kind == "add":
        return words_of.add_words(_copied(at, at.material.dataset), clip)
    root = at.folder / "them"
    (root / "real").mkdir(parents=True)
    clip.rename(root / "real" / clip.name)
    shutil.copy(at.material.clips[".mp4"], root / "real" / "sound.mp4")
    if kind == "each":
        words = words_of.extract_words(root / "real", out)
        return (*words[:3], *words[5:], "--each", "--jobs", "1")
    return words_of.import_words("folders", root, out)


def _crafted(at: Setting) -> Case:
    """What is no video and leads elsewhere: playlists and pages of the kinds that FFmpeg and viewers follow."""
    target = at.one(
        str(at.decoy), f"file:{at.decoy}", f"http://127.0.0.1:{at.port}/decoy.mp4", f"concat:{at.decoy}|{at.decoy}"
    )
    documents = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{target}'\nduration 3\n",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {at.port} RTP/AVP 96\n",
        "dash": f'<?xml version="1.0"?><MPD><Period><BaseURL>{target}</BaseURL></Period></MPD>',
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}" width="9" height="9"/></svg>',
        "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
        "quicktime reference": f"\x00\x00\x00\x38moov\x00\x00\x00\x30rmra\x00\x00\x00\x28rmdardrfurl {target}",
        "images": f"{target}%05d.png",
        "y4m": f"YUV4MPEG2 W{at.one(1, 8192, 2**31, 10**12)} H{at.one(1, 8192, 2**31)} F1:0 Ip A0:0 C420\nFRAME\n",
        "empty": "",
    }
    kind = at.one(*documents)
    clip = at.folder / f"clip{at.one('.mp4', '.mov', '.mkv', '.avi', '.m3u8', '.png', '.y4m', '.gif')}"
    clip.write_bytes(documents[kind].encode())
    return Case(f"{kind} that leads to {target.split(':')[0]}", _media_words(at, clip))


def _metadata(at: Setting) -> Case:
    """Tags that are no UTF-8, commands of a terminal, or very long."""
    suffix = at.one(".mp4", ".mkv", ".mov")
    clip = at.folder / f"clip{suffix}"
    mark = "PLACEHOLDER" * at.one(2, 2, 40, 3000)
    words_of.rewrap(at.material.clips[".mp4"], clip, tags={at.one("title", "comment", "encoder", "date"): mark})
    hostile = at.one(b"\xff\xfe\xc3(\x80", CONTROLS.encode(), b"\x00", "\u202egpj.".encode(), at.rng.bytes(11))
    data = clip.read_bytes().replace(mark.encode(), (hostile * len(mark))[: len(mark)])
    clip.write_bytes(data)
    return Case(f"tag of {len(mark)} x {hostile[:12]!r} in {suffix}", _media_words(at, clip))


def _sound(at: Setting) -> Case:
    """Damaged sound between sound pictures."""
    suffix = at.one(".mp4", ".mkv", ".ts", ".mov")
    source = at.material.clips[suffix]
    with opened(source) as container:
        places = [(p.pos, p.size) for p in container.demux(audio=0) if p.pos is not None and p.size]
    data = bytearray(source.read_bytes())
    for number in at.rng.integers(0, max(len(places), 1), int(at.rng.integers(1, 12))):
        if places:
            start, size = places[int(number)]
            data[start : start + size] = flipped(bytes(data[start : start + size]), at.rng)
    clip = at.folder / f"clip{suffix}"
    clip.write_bytes(data)
    return Case(f"damaged sound in {suffix}", _media_words(at, clip))


def _picture(at: Setting, size: int = 96) -> tuple[str, bytes]:
    crop = at.one(*sorted((at.material.faces[0] / "crops").glob("*.png")))
    kind = at.one("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
    packed = io.BytesIO()
    with Image.open(crop) as image:
        image.convert("RGB").resize((size, size)).save(packed, kind)
    return kind.lower().replace("jpeg", "jpg"), packed.getvalue()


def _pictures(at: Setting) -> Case:
    """A folder of pictures, one of them damaged."""
    place = at.folder / "ff" / "real" / "pictures"
    place.mkdir(parents=True)
    said = ""
    for number in range(3):
        kind, data = _picture(at)
        if number == 1:
            how, data = mutated(data, at.rng)
            said = f"{kind}: {how}"
        (place / f"{number}.{at.one(kind, kind, 'png')}").write_bytes(data)
    out = at.folder / "out"
    line = at.one(
        words_of.extract_words(place, out),
        (*words_of.swap_words(place, at.material.swapper, out), "--frames"),
        words_of.inspect_words(next(place.glob("1.*")), at.material.detector, out),
        words_of.import_words("df40", at.folder / "ff", out),
    )
    return Case(f"picture {said}", line)


def _archive(at: Setting) -> Case:
    """A tar archive with members that lie about their size, leave the place, or repeat a hole."""
    packed = io.BytesIO()
    form = at.one(tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)
    with tarfile.open(fileobj=packed, mode="w", format=form, errors="surrogateescape") as tar:
        for number in range(int(at.rng.integers(1, 5))):
            kind, data = _picture(at, 32)
            member = tarfile.TarInfo(
                at.one(f"1/{number}.{kind}", f"1/{number}.png", f"{number}/{name_for(at.rng)}.png")
            )
            member.size = len(data)
            if at.chance(0.3):
                member.type = at.one(*(bytes([code]) for code in b"0123456789SLKxgVNXD"))
                member.linkname = at.one(str(at.decoy), "../../x", "")
            if form == tarfile.PAX_FORMAT and at.chance(0.3):
                member.pax_headers = {
                    "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "1/0.png",
                    "GNU.sparse.realsize": str(at.one(1, 2**26, 2**40, -1, "x")),
                }  # fmt: skip
            with suppress(ValueError, OverflowError):
                tar.addfile(member, io.BytesIO(data))
    data, how = packed.getvalue(), "crafted"
    if at.chance(0.6):
        how, data = mutated(data, at.rng)
    if at.chance(0.5):
        data = gzip.compress(data, 1, mtime=0)
        if at.chance(0.3):
            how, data = mutated(data, at.rng)
    place = at.folder / "them" / "real train"
    place.mkdir(parents=True)
    (place / at.one("1.tar.gz", "1.tar")).write_bytes(data)
    return Case(f"archive: {how}", words_of.import_words("wilddeepfake", place.parent, at.folder / "out"))


def _copied(at: Setting, source: Path) -> Path:
    target = at.folder / source.name
    shutil.copytree(source, target)
    return target


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
    place = _copied(at, at.material.dataset)
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
    place = _copied(at, at.material.faces[0])
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
    place = _copied(at, at.material.swapper if swapper else at.material.detector)
    found = [path for path in place.rglob("*") if path.suffix in (".toml", ".json", ".jsonl", ".safetensors")]
    path = at.one(*sorted(found))
    how = _changed_file(at, path)
    clip, out = at.material.clips[".mp4"], at.folder / "out"
    dataset = at.material.dataset if swapper else _copied(at, at.material.dataset)
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
    from detect.config import EvaluateConfig
    from detect.config import TrainConfig as DetectConfig
    from detect.inspection.inspect import InspectConfig
    from forge.swapping.config import SwapConfig
    from forge.training.config import TrainConfig

    clip, out, dataset = at.material.clips[".mp4"], at.folder / "out", _copied(at, at.material.dataset)
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
        words_of.add_words(_copied(at, at.material.dataset), clip, identity=name, name=at.one(name, None)),
        (*words_of.swap_words(clip, at.material.swapper, out, person=name), "--name", at.one(name, "x")),
        words_of.inspect_words(clip, at.material.detector, out),
        ("dataset", "init", str(at.folder / "new"), "--name", name),
    ]
    return Case(f"name {name[:20]!r}", at.one(*lines))


KINDS: dict[str, tuple[Callable[[Setting], Case], int]] = {
    "video": (_video, 30),
    "crafted": (_crafted, 8),
    "metadata": (_metadata, 5),
    "sound": (_sound, 6),
    "pictures": (_pictures, 8),
    "archive": (_archive, 6),
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
