"""What an RNN, LSTM or GRU reaches on IMDB when token ids are fed to it as if they were magnitudes.

    python benchmarks/raw_ids.py [--epochs 3] [--config configs/imdb_lstm.yaml]

The same data, split, cell sizes and optimizer as the shipped configs, with two differences, those of the published
experiment told in docs/three-cells-on-imdb.md: each step's input is the single number id / V in place of an
embedding, and the last state is what is classified.
"""

import argparse

from rnncli.blas import default_to_one_thread

default_to_one_thread()

import numpy as np  # noqa: E402

from rnncli.config import load_config  # noqa: E402
from rnncli.data.batches import epoch_batches, make_batch, scoring_batches  # noqa: E402
from rnncli.data.dataset import load_dataset  # noqa: E402
from rnncli.layers import (  # noqa: E402
    CELLS,
    affine_backward,
    affine_forward,
    glorot_uniform,
    last_pooling_backward,
    last_pooling_forward,
    orthogonal,
    recurrent_backward,
    recurrent_forward,
    softmax_loss,
)
from rnncli.optim import Adam, Optimizer, clip_by_global_norm  # noqa: E402
from rnncli.randomness import generator  # noqa: E402
from rnncli.run import CACHE  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/imdb_lstm.yaml")
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    config = load_config(args.config)
    data = load_dataset(config.data, config.seed, CACHE)
    H, V = config.model.rnn.hidden, len(data.vocabulary)
    for name, cell in CELLS.items():
        rng = generator(config.seed, "weights")
        params = {
            "Wx": np.concatenate([glorot_uniform((1, H), rng) for _ in range(cell.gates)], axis=1),
            "Wh": np.concatenate([orthogonal((H, H), rng) for _ in range(cell.gates)], axis=1),
            "b": np.zeros(cell.gates * H),
            "output.w": glorot_uniform((H, len(data.labels)), rng),
            "output.b": np.zeros(len(data.labels)),
        }
        if name == "lstm":
            params["b"][H : 2 * H] = 1.0
        params = {key: value.astype(np.float32) for key, value in params.items()}

        def forward(batch, params=params, cell=cell):
            x = (batch.ids / V).astype(np.float32)[:, None]
            h0 = np.zeros((len(batch.y), H), np.float32)
            h, _, _, run = recurrent_forward(cell, x, batch.packing, h0, params["Wx"], params["Wh"], params["b"])
            pooled, pooling = last_pooling_forward(h, batch.packing)
            logits, affine = affine_forward(pooled, params["output.w"], params["output.b"])
            return logits, (run, pooling, affine)

        optimizer = Optimizer(Adam())
        for epoch in range(args.epochs):
            for rows in epoch_batches(
                data.train.lengths, config.train.batch_size, generator(config.seed, "order", epoch)
            ):
                batch = make_batch(data.train, rows)
                logits, (run, pooling, affine) = forward(batch)
                _, dlogits = softmax_loss(logits, batch.y)
                grads = {}
                dpooled, grads["output.w"], grads["output.b"] = affine_backward(dlogits, affine)
                dh = last_pooling_backward(dpooled, pooling)
                _, _, _, grads["Wx"], grads["Wh"], grads["b"], _ = recurrent_backward(dh, run)
                optimizer.step(params, clip_by_global_norm(grads, 1.0)[0], config.optim.lr)
        batches = [make_batch(data.valid, rows) for rows in scoring_batches(data.valid.lengths, 128)]
        right = sum(int((forward(batch)[0].argmax(axis=1) == batch.y).sum()) for batch in batches)
        print(f"{name:5} accuracy {right / len(data.valid):.1%} after {args.epochs} epochs", flush=True)


if __name__ == "__main__":
    main()
