"""MesoNet against a second, plain implementation of the same weights, and its file format against hostile files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from detect.exchange.keras import load_keras
from detect.exchange.keras_file import read_layers
from detect.models import build_detector
from detect.models.checkpoint import load_detector
from detect.models.predictor import CropPredictor
from detect.training.losses import detection_loss
from shared.cli import run
from shared.errors import CheckpointError, ConfigError, UnknownNameError

FILES = ("Meso4_DF", "Meso4_F2F", "MesoInception_DF", "MesoInception_F2F")
PLAIN = (("conv2d", (3, 3, 3, 8)), ("conv2d", (5, 5, 8, 8)), ("conv2d", (5, 5, 8, 16)), ("conv2d", (5, 5, 16, 16)))


def conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, dilation: int = 1) -> np.ndarray:
    """Keras's "same" convolution of an (H, W, C) picture, followed by ReLU: a sum over the kernel's places."""
    height, width, _ = x.shape
    reach = dilation * (kernel.shape[0] // 2)
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)))
    total = np.broadcast_to(bias, (height, width, kernel.shape[3])).astype(np.float64)
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            top, left = row * dilation, column * dilation
            total = total + padded[top : top + height, left : left + width] @ kernel[row, column]
    return np.maximum(total, 0)


def norm(x: np.ndarray, layer: list[np.ndarray]) -> np.ndarray:
    gamma, beta, mean, variance = layer
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def pool(x: np.ndarray, size: int) -> np.ndarray:
    height, width, channels = x.shape
    return x.reshape(height // size, size, width // size, size, channels).max((1, 3))


def probability_of_real(x: np.ndarray, path: Path) -> float:
    """The published networks, written from the paper's figures, on weights by their Keras names."""
    with h5py.File(path) as file:
        held = {}
        for name in file.attrs["layer_names"]:
            group = file[name]
            arrays = [np.asarray(group[place], np.float64) for place in group.attrs["weight_names"]]
            if arrays:
                kind, _, number = name.decode().rpartition("_")
                held.setdefault(kind, {})[int(number)] = arrays
    convs, norms, denses = ([held[kind][n] for n in sorted(held[kind])] for kind in
                            ("conv2d", "batch_normalization", "dense"))  # fmt: skip
    if len(convs) == 16:  # numbered in the order in which the authors' code makes them: 1x1; 1x1, 3x3; ...
        for block in range(2):
            one, *rest = convs[7 * block : 7 * block + 7]
            branches = [conv(x, *one)]
            for dilation in (1, 2, 3):
                enter, look = rest[2 * dilation - 2 : 2 * dilation]
                branches.append(conv(conv(x, *enter), *look, dilation=dilation))
            x = pool(norm(np.concatenate(branches, 2), norms[block]), 2)
        last = convs[14:]
    else:
        for block in range(2):
            x = pool(norm(conv(x, *convs[block]), norms[block]), 2)
        last = convs[2:]
    x = pool(norm(conv(x, *last[0]), norms[2]), 2)
    x = pool(norm(conv(x, *last[1]), norms[3]), 4)
    hidden = x.ravel() @ denses[0][0] + denses[0][1]
    if len(convs) == 16:
        hidden = np.where(hidden > 0, hidden, 0.1 * hidden)
    return float(1 / (1 + np.exp(-(hidden @ denses[1][0] + denses[1][1])[0])))


@pytest.mark.needs_media
@pytest.mark.parametrize("name", FILES)
def test_published_weights_give_what_the_published_network_gives(
    name: str, small_weights: Path, rng: np.random.Generator
):
    path = small_weights / "mesonet" / f"{name}.h5"
    detector = load_keras(path)
    smooth = np.kron(rng.random((16, 16, 3)), np.ones((16, 16, 1)))
    for picture in (smooth, rng.random((256, 256, 3))):
        with torch.inference_mode():
            logit = detector(torch.from_numpy(picture).float().permute(2, 0, 1)[None]).logit
        assert 1 - torch.sigmoid(logit.double()).item() == pytest.approx(probability_of_real(picture, path), abs=1e-5)


@pytest.mark.needs_media
def test_an_imported_detector_is_one_like_any_other(small_weights: Path, tmp_path: Path):
    file, out = small_weights / "mesonet" / "MesoInception_F2F.h5", tmp_path / "meso"
    command = ["detect", "import", str(file), "--out", str(out), "--framing", "midface"]
    assert run(command) == 0
    assert run(command) == 2  # nothing is replaced unasked
    assert run([*command, "--force"]) == 0
    facts = load_detector(out)[1]
    assert (facts.spec.family, facts.spec.framing, facts.spec.input_px) == ("mesoinception4", "midface", 256)
    assert "MesoInception_F2F.h5" in facts.initial_weights
    assert "Afchar" in (out / "README.md").read_text()
    grey = np.full((1, 256, 256, 3), 128, np.uint8)
    x = torch.full((1, 3, 256, 256), 128 / 255)
    with torch.inference_mode():
        expected = load_keras(file)(x).logit.numpy()
    np.testing.assert_allclose(CropPredictor.load(out, "cpu", precision="float32").logits(grey), expected, atol=1e-5)
    assert run([*command[:5], "--framing", "chin", "--force"]) == 2


def keras_file(path: Path, shapes: tuple[tuple[str, tuple[int, ...]], ...] = PLAIN, *, leaky: bool = False) -> Path:
    """A file as Keras writes one, of random weights: convolutions and normalisations in turn, two dense layers."""
    rng = np.random.default_rng(1)
    layers: list[tuple[str, dict[str, np.ndarray]]] = [("input_1", {})]
    for number, (kind, shape) in enumerate(shapes, 1):
        width = shape[-1]
        layers.append((f"{kind}_{number}", {"kernel:0": rng.normal(size=shape) / 9, "bias:0": rng.normal(size=width)}))
        gains = {key: rng.random(width) + 0.5 for key in ("gamma:0", "beta:0", "moving_mean:0", "moving_variance:0")}
        layers.append((f"batch_normalization_{number}", gains))
    layers.append(("dense_1", {"kernel:0": rng.normal(size=(1024, 16)) / 32, "bias:0": rng.normal(size=16)}))
    if leaky:
        layers.append(("leaky_re_lu_1", {}))
    layers.append(("dense_2", {"kernel:0": rng.normal(size=(16, 1)), "bias:0": rng.normal(size=1)}))
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name for name, _ in layers], "S")
        for name, arrays in layers:
            group = file.create_group(name)
            group.attrs["weight_names"] = np.array([f"{name}/{key}" for key in arrays], "S")
            for key, values in arrays.items():
                group[f"{name}/{key}"] = values.astype(np.float32)
    return path


def test_layers_are_read_in_the_files_order(tmp_path: Path):
    layers = read_layers(keras_file(tmp_path / "net.h5", leaky=True))
    assert [layer.kind for layer in layers[:3]] == ["input", "conv2d", "batch_normalization"]
    assert layers[-2].kind == "leaky_re_lu"
    assert [array.shape for array in layers[-1].arrays] == [(16, 1), (1,)]
    assert load_keras(tmp_path / "net.h5").spec.name == "meso4-leaky"


def test_a_file_made_by_hand_gives_what_plain_arithmetic_gives(tmp_path: Path, rng: np.random.Generator):
    path = keras_file(tmp_path / "net.h5")
    picture = rng.random((256, 256, 3))
    with torch.inference_mode():
        logit = load_keras(path)(torch.from_numpy(picture).float().permute(2, 0, 1)[None]).logit
    assert 1 - torch.sigmoid(logit.double()).item() == pytest.approx(probability_of_real(picture, path), abs=1e-5)


def test_a_whole_saved_model_keeps_its_layers_one_level_down(tmp_path: Path):
    with h5py.File(keras_file(tmp_path / "w.h5")) as plain, h5py.File(tmp_path / "m.h5", "w") as whole:
        plain.copy(plain, whole, "model_weights")
    assert load_keras(tmp_path / "m.h5").spec.name == "meso4"


def _remove_layer(file: h5py.File) -> None:
    del file["dense_2"]


def _remove_name(file: h5py.File) -> None:
    file.attrs["layer_names"] = file.attrs["layer_names"][:-1]


def _other_shape(file: h5py.File) -> None:
    del file["dense_2/dense_2/kernel:0"]
    file["dense_2/dense_2/kernel:0"] = np.zeros((16, 2), np.float32)


def _not_finite(file: h5py.File) -> None:
    file["conv2d_1/conv2d_1/bias:0"][0] = np.nan


def _words(file: h5py.File) -> None:
    del file["conv2d_1/conv2d_1/bias:0"]
    file["conv2d_1/conv2d_1/bias:0"] = np.array([b"w"] * 8)


def _outside(file: h5py.File) -> None:
    del file["conv2d_1/conv2d_1"]
    file["conv2d_1/conv2d_1"] = h5py.ExternalLink("other.h5", "/")


def _raw_outside(file: h5py.File) -> None:
    del file["conv2d_1/conv2d_1/bias:0"]
    file["conv2d_1/conv2d_1"].create_dataset("bias:0", (8,), "f4", external=[("secret.bin", 0, 32)])


def _huge(file: h5py.File) -> None:
    del file["dense_1/dense_1/kernel:0"]
    file["dense_1/dense_1"].create_dataset("kernel:0", (1 << 40,), "f4", chunks=(1 << 16,), compression="gzip")


def _many(file: h5py.File) -> None:
    file.attrs["layer_names"] = [b"dense_1"] * 1000


def _huge_together(file: h5py.File) -> None:
    """Each array is small enough and takes no bytes; eight layers of eight are 32 times what the file may hold."""
    for number in range(8):
        group = file.create_group(f"cheap_{number}")
        group.create_dataset("w", (1 << 19,), "f4", chunks=(1 << 16,), compression="gzip")
        group.attrs["weight_names"] = [b"w"] * 8
    names = [f"cheap_{number}".encode() for number in range(8)]
    file.attrs["layer_names"] = [*file.attrs["layer_names"], *names]


def _huge_chunk(file: h5py.File) -> None:
    del file["conv2d_1/conv2d_1/bias:0"]
    file["conv2d_1/conv2d_1"].create_dataset("bias:0", (8,), "f4", maxshape=(None,), chunks=(1 << 26,))


def _twice(file: h5py.File) -> None:
    file.attrs["layer_names"] = [*file.attrs["layer_names"], b"dense_1"]


def _no_names(file: h5py.File) -> None:
    del file.attrs["layer_names"]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_remove_layer, "missing"),
        (_remove_name, "not 10"),
        (_other_shape, "dense kernel"),
        (_not_finite, "no numbers"),
        (_words, "type"),
        (_outside, "somewhere else"),
        (_huge_together, "1,048,576 numbers"),
        (_huge_chunk, "1,048,576 numbers"),
        (_twice, "listed twice"),
        (_raw_outside, "another file"),
        (_huge, "1,048,576 numbers"),
        (_many, "1000 entries"),
        (_no_names, "model_weights is missing"),
    ],
)
def test_hostile_and_damaged_files_are_refused(tmp_path: Path, damage: Callable[[h5py.File], None], told: str):
    path = keras_file(tmp_path / "net.h5")
    (tmp_path / "secret.bin").write_bytes(bytes(32))
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(CheckpointError, match=told) as caught:
        load_keras(path)
    assert "net.h5" in str(caught.value)


def test_force_replaces_a_detector_and_nothing_else(tmp_path: Path):
    file = keras_file(tmp_path / "in" / "net.h5")
    (tmp_path / "run").mkdir()
    for name in ("run.json", "config.json", "model.safetensors"):
        (tmp_path / "run" / name).write_text("kept")
    words = ["detect", "import", str(file), "--force", "--out"]
    for out in ("run", "in", "in/net.h5"):
        assert run([*words, str(tmp_path / out)]) == 2
    assert file.is_file()
    assert (tmp_path / "run" / "run.json").read_text() == "kept"
    for _ in range(2):
        assert run([*words, str(tmp_path / "meso")]) == 0


def test_names_are_counted_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = keras_file(tmp_path / "net.h5")
    with h5py.File(path, "r+") as file:
        _many(file)
    monkeypatch.setattr(h5py.AttributeManager, "__getitem__", lambda *_: pytest.fail("read"))
    with pytest.raises(CheckpointError, match="1000 entries"):
        read_layers(path)


def test_what_is_no_such_file_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="no file"):
        load_keras(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("weights")
    with pytest.raises(CheckpointError, match="no sound file"):
        load_keras(tmp_path / "text.h5")
    with pytest.raises(CheckpointError, match="no network known"):
        load_keras(keras_file(tmp_path / "three.h5", PLAIN[:3]))
    with pytest.raises(CheckpointError, match="is not of meso4"):
        load_keras(keras_file(tmp_path / "wide.h5", (("conv2d", (3, 3, 3, 9)), *PLAIN[1:])))
    with pytest.raises(CheckpointError, match="is not of meso4"):
        load_keras(keras_file(tmp_path / "flat.h5", (("conv2d", (3, 8)), *PLAIN[1:])))


def test_only_their_own_models_and_sizes_are_taken():
    with pytest.raises(UnknownNameError, match="meso4 has no model") as caught:
        build_detector("tf_efficientnet_lite0", family="meso4")
    assert "--model" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="input_px"):
        build_detector("meso4", family="meso4", input_px=8)


@pytest.mark.parametrize("family", ["meso4", "mesoinception4"])
def test_they_learn(family: str):
    """Stripes are the forgery."""
    torch.manual_seed(0)
    detector = build_detector(family, family=family, input_px=64).train()
    optimizer = torch.optim.Adam(detector.parameters(), lr=3e-3)
    x, wanted = torch.rand(8, 3, 64, 64), torch.tensor([1.0, 0.0] * 4)
    x[::2, :, ::4] = 0
    losses = []
    for _ in range(30):
        loss = detection_loss(detector(x), wanted, None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 < losses[0]


def test_the_familys_name_is_enough_to_train_it(toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    settings = [
        "--steps",
        "2",
        "--batch",
        "4",
        "--frames",
        "2",
        "--input-px",
        "64",
        "--finder",
        "toy",
        "--device",
        "cpu",
    ]
    assert run(["detect", "train", str(toy_set), "--run", str(tmp_path / "r"), "--family", "meso4", *settings]) == 0
    facts = load_detector(tmp_path / "r")[1]
    assert (facts.spec.family, facts.spec.name, facts.initial_weights) == ("meso4", "meso4", "random")
    capsys.readouterr()
    assert run(["detect", "models", "--families"]) == 0
    told = capsys.readouterr().out
    assert all(family in told for family in ("meso4", "temporal", "multitask", "frequency", "frame"))
    assert run(["detect", "models", "--families", "mezo"]) == 2
