"""A model as one ONNX file that needs nothing beside it, compared with the original by onnxruntime."""

from pathlib import Path
from typing import Any

from rnncli import __version__
from rnncli.errors import ConfigError
from rnncli.exporting import Fact
from rnncli.exporting.differences import facts_of_difference
from rnncli.exporting.learned import facts_of
from rnncli.exporting.onnx_graph import IR_VERSION, OPSET
from rnncli.exporting.onnx_metadata import metadata_of
from rnncli.exporting.onnx_models import build_graph
from rnncli.exporting.samples import sample_of
from rnncli.exporting.verify_onnx import verify
from rnncli.extras import require
from rnncli.trained import Trained

FIRST_RUNTIME = "1.15"  # the oldest onnxruntime that has been tried
TEXTS = 256  # to compare on
MOST_BYTES = 2**31 - 2**24  # a protobuf ends at 2 GiB; the nodes take some kilobytes


def export(trained: Trained, path: Path) -> list[Fact]:
    """Write a model as an ONNX graph, and compare.

    Parameters
    ----------
    trained : Trained
        Of any task.
    path : Path
        The file.

    Returns
    -------
    list of Fact
        Vocabulary and labels, inputs and outputs, versions, and the largest difference found.

    Raises
    ------
    RnncliError
        If the packages are not installed, the weights are too many for one file, or the graph computes something else.
    """
    onnx = require("onnx", extra="onnx", purpose="--to onnx")
    runtime = require("onnxruntime", extra="onnx", purpose="--to onnx, to compare what is written with the model,")
    metadata = metadata_of(trained)
    size = sum(array.nbytes for array in trained.model.params.values()) + sum(map(len, metadata.values()))
    if size > MOST_BYTES:
        raise ConfigError(
            f"has {size / 1e9:,.1f} GB of weights and vocabulary, an ONNX file holds 2",
            where="--to onnx",
            remedy="Use --to numpy",
        )
    graph = build_graph(trained.model, onnx)
    config = trained.config
    model = graph.model(
        config.name,
        producer_name="rnncli",
        producer_version=__version__,
        doc_string=f"{config.name}: {config.task.replace('_', ' ')}, {config.model.rnn.cell}",
    )
    onnx.helper.set_model_props(model, metadata)
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(path), full_check=True)
    sample = sample_of(trained, TEXTS)
    difference = verify(_session(runtime, path), trained.model, sample.data)
    return [
        *facts_of(trained),
        *(Fact(name, _signatures(onnx, values), _shown(onnx, values)) for name, values in _values(model)),
        Fact("format", {"opset": OPSET, "ir_version": IR_VERSION, "onnxruntime": FIRST_RUNTIME}, _versions()),
        *facts_of_difference(sample.name, difference),
    ]


def _session(runtime: Any, path: Path) -> Any:
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors; those are raised
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _values(model: Any) -> list[tuple[str, Any]]:
    return [("inputs", model.graph.input), ("outputs", model.graph.output)]


def _signatures(onnx: Any, values: Any) -> list[dict[str, Any]]:
    """Return name, type and shape of inputs or outputs."""
    found = []
    for value in values:
        tensor = value.type.tensor_type
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        found.append(
            {"name": value.name, "type": kind, "shape": [d.dim_param or d.dim_value for d in tensor.shape.dim]}
        )
    return found


def _shown(onnx: Any, values: Any) -> str:
    rows = [(v["name"], v["type"], f"({', '.join(map(str, v['shape']))})") for v in _signatures(onnx, values)]
    names, types = (max(len(row[place]) for row in rows) for place in (0, 1))
    return "\n".join(f"{name:{names}}  {kind:{types}}  {shape}" for name, kind, shape in rows)


def _versions() -> str:
    return f"opset {OPSET}, IR version {IR_VERSION}: onnxruntime {FIRST_RUNTIME} or later"
