"""A graph of ONNX operators: nodes, weights, inputs and outputs by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np

# Not the newest: nothing here needs more, and every runtime of the last years reads these.
OPSET = 17
IR_VERSION = 8


class Graph:
    """Nodes, weights, inputs and outputs; every value goes by its name.

    Parameters
    ----------
    onnx : module
        The package.
    """

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._weights: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def apply(self, operator: str, inputs: Sequence[str], output: str, *more: str, **attributes: Any) -> str:
        """Add a node.

        Parameters
        ----------
        operator : str
            As ONNX calls it.
        inputs : sequence of str
            Names of values; an empty one leaves an optional input out.
        output, *more : str
            Names of what comes out; the first is the node's own too.
        **attributes
            Of the operator.

        Returns
        -------
        str
            ``output``.
        """
        node = self._onnx.helper.make_node(operator, list(inputs), [output, *more], name=output, **attributes)
        self._nodes.append(node)
        return output

    def weight(self, name: str, array: Any) -> str:
        """Add an array.

        Parameters
        ----------
        name : str
            If there is one of this name already, that is meant.
        array : ndarray
            Its type is kept.

        Returns
        -------
        str
            ``name``.
        """
        if name not in self._weights:
            self._weights[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def integers(self, *values: int) -> str:
        """Add a vector of integers, as axes and shapes are, and return its name."""
        return self.weight("_".join(["int", *map(str, values)]), np.array(values, np.int64))

    def input(self, name: str, kind: type, shape: Sequence[str | int]) -> str:
        """Add an input.

        Parameters
        ----------
        name : str
            What it is called in a session.
        kind : type
            ``np.int64`` or ``np.float32``.
        shape : sequence of str or int
            Sizes that are texts may differ from call to call.

        Returns
        -------
        str
            ``name``.
        """
        self._inputs.append(self._value(name, kind, shape))
        return name

    def output(self, name: str, kind: type, shape: Sequence[str | int]) -> None:
        """Make a value an output.

        Parameters
        ----------
        name : str
            Of a value there is.
        kind, shape
            As for :meth:`input`.
        """
        self._outputs.append(self._value(name, kind, shape))

    def model(self, name: str, **fields: Any) -> Any:
        """Return the whole.

        Parameters
        ----------
        name : str
            Of the graph.
        **fields
            Of ``onnx.helper.make_model``, such as ``producer_name``.

        Returns
        -------
        onnx.ModelProto
            Of ``OPSET`` and ``IR_VERSION``.
        """
        helper = self._onnx.helper
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, list(self._weights.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, **fields)

    def _value(self, name: str, kind: type, shape: Sequence[str | int]) -> Any:
        element = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return self._onnx.helper.make_tensor_value_info(name, element, list(shape))
