"""What the benchmarks of hostile files and kills work on: clips of actors and all that the commands make of them.

Everything is as small as it can be and made by the commands themselves, so that a run on it takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.sandbox import Ended, Job, Sandbox
from shared.actors import Actor, film
from shared.errors import RunError
from shared.storage import write_text
from shared.video import Encoding, VideoReader, VideoWriter
from shared.video.container import created, opened

QUICK = ("--frames", "2", "--replicates", "10", "--device", "cpu")
"""What makes a measurement short."""

PEOPLE = ("ann", "bob", "cid", "dan")
_SPLITS = ("train=ann,bob", "val=cid,dan")
_QUICK = Encoding(preset="ultrafast", crf=23)
_OTHER_CONTAINERS = (".mkv", ".mov", ".ts")
_OTHER_CODECS = {
    ".avi": Encoding(codec="mjpeg", crf=5, container=".avi"),
    ".webm": Encoding(codec="libvpx-vp9", crf=40, preset="ultrafast", container=".webm"),
}


SET_TOML = """
renditions = ["c23"]

[set]
name = "toy"
license = "CC0-1.0"
finder = "dlib"
min_face_px = 16

[faces]
px = 48
min_face_px = 16
embed_every = 0

[splits]
train = ["ann", "bob"]

{people}
[[swapper]]
name = "light"
steps = [2]
settings = {{ model = "lightweight", width = 0.125, batch = 2, preview_every = 100, log_every = 100 }}

[[manipulation]]
name = "plain"
swapper = "light"
pairs = "ring"
self_swaps = false
"""


@dataclass(frozen=True)
class Material:
    """Where it lies.

    Attributes:
        folder: of everything.
        home: with the keys that sealed the set.
    """

    folder: Path
    home: Path

    @property
    def faces(self) -> tuple[Path, ...]:
        """A faceset of each person."""
        return tuple(self.folder / "faces" / who for who in PEOPLE)

    @property
    def swapper(self) -> Path:
        """A finished run."""
        return self.folder / "swapper"

    @property
    def detector(self) -> Path:
        """A finished run."""
        return self.folder / "detector"

    @property
    def dataset(self) -> Path:
        """A sealed set with splits."""
        return self.folder / "set"

    @property
    def settings(self) -> Path:
        """Of a build."""
        return self.folder / "clips" / "set.toml"

    @property
    def clips(self) -> Mapping[str, Path]:
        """The same clip in containers of every kind, by suffix."""
        found = sorted((self.folder / "clips").glob("bob.*"))
        return MappingProxyType({path.suffix: path for path in found if not path.name.endswith(".parquet")})


def extract_words(clip: Path | str, out: Path | str, *, identity: str = "ann") -> tuple[str, ...]:
    """``assay faces extract`` of small faces."""
    return (
        "faces", "extract", str(clip), "--identity", identity, "--rights", "synthetic", "--out", str(out), "--finder",
        "dlib", "--px", "48", "--min-face-px", "16",
    )  # fmt: skip


def train_words(faces: tuple[Path, ...], run: Path, *, steps: int = 2) -> tuple[str, ...]:
    """``assay forge train`` of a tiny swapper."""
    return (
        "forge", "train", *map(str, faces), "--run", str(run), "--model", "lightweight", "--width", "0.125", "--steps",
        str(steps), "--batch", "2", "--device", "cpu",
    )  # fmt: skip


def swap_words(
    target: Path | str, swapper: Path, out: Path, *, source: str = "ann", person: str = "bob"
) -> tuple[str, ...]:
    """``assay forge swap``."""
    return (
        "forge", "swap", str(target), "--run", str(swapper), "--source", source, "--out", str(out), "--finder", "dlib",
        "--target-identity", person, "--rights", "synthetic", "--device", "cpu",
    )  # fmt: skip


def add_words(dataset: Path, clip: Path | str, *, identity: str = "bob", name: str | None = None) -> tuple[str, ...]:
    """``assay dataset add``."""
    named = () if name is None else ("--name", name)
    return ("dataset", "add", str(dataset), str(clip), "--identity", identity, "--rights", "synthetic", *named)


def detect_words(dataset: Path, run: Path, *, steps: int = 2) -> tuple[str, ...]:
    """``assay detect train`` of a tiny detector."""
    return (
        "detect", "train", str(dataset), "--model", "test_efficientnet", "--no-pretrained", "--steps", str(steps),
        "--batch", "4", "--run", str(run), "--finder", "dlib", "--frames", "2", "--input-px", "64", "--device", "cpu",
        "--workers", "1",
    )  # fmt: skip


def inspect_words(clip: Path | str, detector: Path, out: Path) -> tuple[str, ...]:
    """``assay inspect``."""
    return ("inspect", str(clip), "--detector", str(detector), "--out", str(out), "--device", "cpu")


def import_words(layout: str, root: Path, out: Path) -> tuple[str, ...]:
    """``assay dataset import``."""
    return ("dataset", "import", layout, str(root), str(out), "--rights", "terms of use")


def score_words(dataset: Path, detector: Path, out: Path, *, split: str = "all") -> tuple[str, ...]:
    """``assay score`` of a few frames."""
    return (
        "score",
        str(dataset),
        "--detector",
        str(detector),
        "--out",
        str(out),
        "--split",
        split,
        "--no-quality",
        *QUICK,
    )


def make_material(folder: Path, sandbox: Sandbox, *, frames: int = 8) -> Material:
    """Films the actors and runs the commands.

    Raises:
        RunError: one of them failed.
    """
    made = Material(folder, sandbox.home)
    clips = folder / "clips"
    clips.mkdir(parents=True)
    for number, name in enumerate(PEOPLE):
        film(Actor.from_seed(number), clips / f"{name}.mp4", seconds=frames / 25, px=96, seed=number, encoding=_QUICK)
        (clips / f"{name}.landmarks.parquet").unlink()
    people = [f'[[identity]]\nname = "{who}"\nrights = "synthetic"\nclips = ["{who}.mp4"]\n' for who in PEOPLE[:2]]
    write_text(made.settings, SET_TOML.format(people="\n".join(people)))
    lines = [extract_words(clips / f"{path.name}.mp4", path, identity=path.name) for path in made.faces]
    lines.append(train_words(made.faces, made.swapper))
    lines.append(("dataset", "init", str(made.dataset), "--name", "toy"))
    for name, other in zip(PEOPLE, ("bob", "ann", "dan", "cid"), strict=True):
        clip = clips / f"{name}.mp4"
        lines.append(add_words(made.dataset, clip, identity=name, name=name))
        lines.append(swap_words(clip, made.swapper, made.dataset, source=other, person=name))
    groups = [word for split in _SPLITS for word in ("--group", split)]
    lines.append(("dataset", "split", str(made.dataset), *groups))
    lines.append(detect_words(made.dataset, made.detector))
    for line in lines:
        run_through(sandbox, Job(line, folder / "log", writable=(folder,)))
    for suffix in _OTHER_CONTAINERS:
        rewrap(clips / "bob.mp4", clips / f"bob{suffix}")
    for suffix, encoding in _OTHER_CODECS.items():
        with (
            VideoReader(clips / "bob.mp4") as reader,
            VideoWriter.like(reader.info, clips / f"bob{suffix}", encoding=encoding) as writer,
        ):
            for frame in reader:
                writer.write(frame.image, frame.time)
    rewrap(clips / "bob.mp4", clips / "bob.m4v", {"movflags": "frag_keyframe+empty_moov"})
    return made


def run_through(sandbox: Sandbox, job: Job) -> Ended:
    """Runs a job that has to succeed; how it ended.

    Raises:
        RunError: it did not.
    """
    ended = sandbox.run(job)
    if ended.code != 0:
        what = f"assay {' '.join(job.words[:2])} ended with {ended.code}"
        raise RunError(f"{what}: {ended.said[-1500:]}", hint="run it by hand")
    return ended


def rewrap(
    source: Path, target: Path, options: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None
) -> None:
    """The streams of a file in another container, not encoded again, with ``tags`` of its own."""
    with opened(source) as container, created(target, options=options) as out:
        out.metadata.update(tags or {})
        copies = {stream.index: out.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.dts is not None and packet.stream.index in copies:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
