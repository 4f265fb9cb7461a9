"""Networks as ONNX files: written from a module, described in their metadata, opened by ONNX Runtime.

PyTorch's tracing exporter is used: it needs no further package and handles every family.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.device import Device
from shared.errors import CheckpointError, UsageError

OPSET = 18
"""Default opset version: that of ONNX 1.13 (2022)."""
OPSETS = (17, 20)
"""The lowest and the highest supported opset."""

_MAX_FILE_BYTES = 4 << 30
_MAX_LEVELS = 16


def need_onnx() -> tuple[Any, Any]:
    """The packages ``onnx`` and ``onnxruntime``.

    Raises:
        UsageError: one is not installed.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UsageError("ONNX files need onnx and onnxruntime", hint="pip install 'assay[onnx]'") from error
    return onnx, onnxruntime


def need_exportable(out: Path, opset: int) -> None:
    """Refuses what cannot become an ONNX file, before a network is loaded.

    Raises:
        UsageError: a package is missing, an opset outside :data:`OPSETS`, or ``out`` is another kind of file.
    """
    if not OPSETS[0] <= opset <= OPSETS[1]:
        raise UsageError(f"opset {opset} does not lie in {OPSETS[0]} to {OPSETS[1]}", hint=f"{OPSET} is usual")
    if out.exists() and not (out.is_file() and out.suffix.lower() == ".onnx"):
        raise UsageError(f"{out} is there and no .onnx file", hint="choose another --out")
    need_onnx()


def write_network(
    network: nn.Module, example: Tensor, out: Path, *, input_name: str, outputs: Sequence[str], opset: int, what: str
) -> None:
    """Writes ``network``, which takes one tensor and gives a tuple, with a free batch size ``n``.

    Args:
        network: in evaluation mode.
        example: an input, with a batch of two or more.
        out: the file.
        input_name: of the input.
        outputs: names of the outputs, in order.
        opset: version of the operators.
        what: names the network in errors.

    Raises:
        CheckpointError: it uses an operation that ONNX has not.
    """
    try:
        # The exporter prints the whole graph when it fails.
        with warnings.catch_warnings(), torch.inference_mode(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # warnings on shapes that are fixed on purpose, and on the older exporter
            torch.onnx.export(
                network,
                (example,),
                str(out),
                input_names=[input_name],
                output_names=list(outputs),
                dynamic_axes={name: {0: "n"} for name in (input_name, *outputs)},
                opset_version=opset,
                dynamo=False,
            )
    except (RuntimeError, ValueError, TypeError) as error:  # the exporter's errors are RuntimeErrors
        raise CheckpointError(
            f"{what} cannot be written as ONNX: {str(error).splitlines()[0][:300]}",
            hint="it uses an operation that ONNX has not; try another --opset",
        ) from error


def describe_network(path: Path, metadata: Mapping[str, str], text: str) -> None:
    """Replaces the file's metadata and its description."""
    onnx, _runtime = need_onnx()
    network = onnx.load(str(path))
    onnx.helper.set_model_props(network, dict(metadata))
    network.doc_string = text
    onnx.save(network, str(path))


def open_session(path: Path, device: Device | None = None) -> Any:
    """An ONNX Runtime session of the network in ``path``, on the GPU where the device and the runtime have one.

    Raises:
        CheckpointError: not an ONNX network, or one with more than one input.
        UsageError: ONNX Runtime is not installed.
    """
    onnx, onnxruntime = need_onnx()
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise CheckpointError(f"{path} is larger than 4 GiB", hint="no network of a face is")
    _check_whole(onnx, path)
    providers = ["CPUExecutionProvider"]
    if (
        device is not None
        and device.kind == "cuda"
        and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    ):
        providers.insert(0, "CUDAExecutionProvider")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise CheckpointError(f"{path} is no ONNX network: {error}", hint="export it again") from error
    if len(session.get_inputs()) != 1:
        raise CheckpointError(f"{path} takes {len(session.get_inputs())} inputs", hint="a network of faces takes one")
    return session


def _check_whole(onnx: Any, path: Path) -> None:
    """Refuses weights in other files, which the digest that scores and calibration are tied to would not cover.

    The subgraphs of If, Loop and Scan and the model's functions are checked too.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise CheckpointError(f"{path} is no ONNX network: {error}", hint="export it again") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model, path)):
        raise CheckpointError(
            f"{path} keeps weights in other files", hint="make it one: onnx.save(onnx.load(FILE), NEW), up to 2 GiB"
        )


def _tensors(model: Any, path: Path) -> Iterator[Any]:
    """All tensors of a model, those of its subgraphs and functions included.

    Raises:
        CheckpointError: subgraphs are nested too deeply.
    """
    level = [model.graph, *model.functions]
    level += [each for part in model.training_info for each in (part.initialization, part.algorithm)]
    for _ in range(_MAX_LEVELS):
        inner: list[Any] = []
        for graph in level:
            yield from getattr(graph, "initializer", ())
            sparse = [*getattr(graph, "sparse_initializer", ())]
            for attribute in (
                *(one for node in graph.node for one in node.attribute),
                *getattr(graph, "attribute_proto", ()),
            ):
                yield from (attribute.t, *attribute.tensors)
                sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
                inner += [*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs]
            for one in sparse:
                yield from (one.values, one.indices)
        if not inner:
            return
        level = inner
    raise CheckpointError(f"{path} nests more than {_MAX_LEVELS} subgraphs", hint="no network of a face does")
