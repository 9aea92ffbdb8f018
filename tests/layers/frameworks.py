"""The cells of ONNX Runtime and PyTorch, called with rnncli's layout of inputs and weights."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

Array = np.ndarray

# The place of each gate of the framework among rnncli's gates.
ONNX_GATES = {"RNN": (0,), "LSTM": (0, 2, 1, 3), "GRU": (1, 0, 2)}  # LSTM: i o f g; GRU: z r n
TORCH_GATES = {"RNN": (0,), "LSTM": (0, 1, 3, 2), "GRU": (0, 1, 2)}  # LSTM: i f g o; GRU: r z n


def pick_gates(w: Array, gates: tuple[int, ...]) -> Array:
    """Reorder the gates along the last axis."""
    parts = np.split(w, len(gates), axis=-1)
    return np.concatenate([parts[k] for k in gates], axis=-1)


def onnx_states(
    op: str,
    x: Array,
    directions: list[tuple[Array, ...]],
    *,
    direction: str = "forward",
    lengths: Any = None,
    bhn: list[Array] | None = None,
    **attributes: Any,
) -> Array:
    """Run an ONNX recurrent operator in float32.

    ``directions`` has (h0, Wx, Wh, b) for each direction, with c0 at the end for an LSTM. Returns h of shape
    (directions, N, T, H).
    """
    gates = ONNX_GATES[op]
    H = directions[0][0].shape[1]
    N, T, _ = x.shape
    weights = {
        "W": [pick_gates(Wx, gates).T for _, Wx, *_ in directions],
        "R": [pick_gates(Wh, gates).T for _, _, Wh, *_ in directions],
        "B": [np.concatenate([pick_gates(b, gates), np.zeros_like(b)]) for _, _, _, b, *_ in directions],
        "h0": [h0 for h0, *_ in directions],
    }
    if bhn is not None:
        for row, value in zip(weights["B"], bhn, strict=True):
            row[-H:] = value  # the last gate of the recurrent bias
    if op == "LSTM":
        weights["c0"] = [c0 for *_, c0 in directions]
    feed = {name: np.stack(rows).astype(np.float32) for name, rows in weights.items()}
    feed["X"] = x.transpose(1, 0, 2).astype(np.float32)
    feed["lens"] = np.asarray([T] * N if lengths is None else lengths, np.int32)

    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT32 if name == "lens" else TensorProto.FLOAT, value.shape)
        for name, value in feed.items()
    ]
    names = ["X", "W", "R", "B", "lens", "h0", *(["c0"] if op == "LSTM" else [])]
    node = helper.make_node(op, names, ["Y"], hidden_size=H, direction=direction, **attributes)
    output = helper.make_tensor_value_info("Y", TensorProto.FLOAT, (T, len(directions), N, H))
    model = helper.make_model(
        helper.make_graph([node], op, inputs, [output]), opset_imports=[helper.make_opsetid("", 14)], ir_version=8
    )
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0].transpose(1, 2, 0, 3)


def torch_states_and_gradients(
    op: str,
    inputs: tuple[Array, ...],
    dh: Array,
    *,
    lengths: Any = None,
    reverse: bool = False,
    c0: Array | None = None,
    bhn: Array | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Run torch.nn.RNN, LSTM or GRU and autograd on inputs (x, h0, Wx, Wh, b).

    Returns h of shape (N, T, H) and the gradients of sum(h * dh) by name. With ``reverse``, the module is
    bidirectional and its second half is taken: torch has no other way to run against time.
    """
    import torch

    x, h0, Wx, Wh, b = (torch.tensor(a) for a in inputs)
    N, T, D = x.shape
    H = h0.shape[1]
    gates = TORCH_GATES[op]
    halves = 2 if reverse else 1
    suffix = "_l0_reverse" if reverse else "_l0"
    module = getattr(torch.nn, op)(D, H, batch_first=True, bidirectional=reverse, dtype=x.dtype)
    parameters = dict(module.named_parameters())
    recurrent_bias = torch.zeros_like(b)
    if bhn is not None:
        recurrent_bias[2 * H :] = torch.tensor(bhn)

    def reordered(w: Any) -> Any:
        return torch.cat([w.chunk(len(gates), dim=-1)[k] for k in gates], dim=-1)

    with torch.no_grad():
        parameters["weight_ih" + suffix].copy_(reordered(Wx).T)
        parameters["weight_hh" + suffix].copy_(reordered(Wh).T)
        parameters["bias_ih" + suffix].copy_(reordered(b))
        parameters["bias_hh" + suffix].copy_(recurrent_bias)
    leaves = {"x": x, "h0": h0}
    if op == "LSTM":
        leaves["c0"] = torch.zeros_like(h0) if c0 is None else torch.tensor(c0)
    for leaf in leaves.values():
        leaf.requires_grad_()
    states = [torch.stack([leaves[name]] * halves) for name in ("h0", "c0") if name in leaves]
    lengths = torch.tensor([T] * N if lengths is None else lengths)
    packed = torch.nn.utils.rnn.pack_padded_sequence(leaves["x"], lengths, batch_first=True, enforce_sorted=False)
    out, _ = module(packed, tuple(states) if op == "LSTM" else states[0])
    h, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=T)
    h = h[:, :, -H:]
    (h * torch.tensor(dh)).sum().backward()

    def restored(name: str) -> Array:
        grad = parameters[name + suffix].grad.numpy()
        back = tuple(int(k) for k in np.argsort(gates))
        return pick_gates(grad.T, back)

    grads = {name: leaf.grad.numpy() for name, leaf in leaves.items()}
    grads |= {"Wx": restored("weight_ih"), "Wh": restored("weight_hh"), "b": restored("bias_ih")}
    if op == "GRU":
        grads["bhn"] = parameters["bias_hh" + suffix].grad.numpy()[2 * H :]
    return h.detach().numpy(), grads
