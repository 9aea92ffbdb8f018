"""The classifier of a config in PyTorch, and how it is trained and used: what rnncli is compared with.

tuned     batches of close lengths (the very batches of rnncli), padded to the longest of the batch, sparse embedding
          gradients with SparseAdam, fused Adam for the rest
tutorial  shuffled batches padded to the longest, one Adam for all
bf16      as tuned, the forward pass under bfloat16 autocast
ddp       as tuned, each batch dealt to two processes under DistributedDataParallel (gloo). The embedding's gradient
          stays sparse: 188,000 tokens/s (LSTM, N = 64), where a dense one and Adam gave 172,000
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from rnncli.config import load_config
from rnncli.data.batches import epoch_batches, scoring_batches
from rnncli.data.dataset import load_dataset
from rnncli.randomness import generator
from rnncli.run_dir import CACHE
from rnncli.scoring import SCORING_BATCH

TIMEOUT = timedelta(minutes=1)  # for a process whose fellow has died
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Classifier(nn.Module):
    """Embedding, dropout, recurrent layers, mean over the real steps, affine map."""

    def __init__(self, config, data, sparse):
        super().__init__()
        model, rnn = config.model, config.model.rnn
        self.padding = len(data.vocabulary)
        self.embedding = nn.Embedding(self.padding + 1, model.embedding.dim, padding_idx=self.padding, sparse=sparse)
        self.dropout = nn.Dropout(model.embedding.dropout)
        self.rnn = LAYERS[rnn.cell](
            model.embedding.dim, rnn.hidden, rnn.layers, bidirectional=rnn.bidirectional, batch_first=True
        )
        self.output = nn.Linear(rnn.hidden * (2 if rnn.bidirectional else 1), len(data.labels))

    def forward(self, padded):
        real = padded != self.padding
        h, _ = self.rnn(self.dropout(self.embedding(padded)))
        return self.output((h * real[:, :, None]).sum(1) / real.sum(1, keepdim=True))


class Texts:
    """Encoded texts as PyTorch's tensors."""

    def __init__(self, encoded, padding):
        ids = torch.from_numpy(encoded.ids.copy())
        self.texts = list(ids.split(encoded.lengths.tolist()))
        self.labels = torch.from_numpy(encoded.labels.copy())
        self.padding = padding

    def batch(self, rows):
        texts = [self.texts[i] for i in rows.tolist()]
        return nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=self.padding)


def train(config, settings, style, steps, warm_up, bf16=False, processes=1, rank=0, store=None):
    """Train, and return the speed after the warm-up in real tokens a second."""
    if bf16 and not has_bf16():
        return {"skipped": "the CPU has no bf16 units"}
    with tempfile.TemporaryDirectory() as folder:
        if processes > 1 and rank == 0:
            store = f"{folder}/store"
            arguments = {"config": config, "settings": settings, "style": style, "steps": steps, "warm_up": warm_up}
            arguments |= {"bf16": bf16, "processes": processes, "rank": 1, "store": store}
            command = [sys.executable, "-m", "benchmarks.child", f"{__name__}:train", json.dumps(arguments)]
            other = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        if processes > 1:
            torch.distributed.init_process_group("gloo", f"file://{store}", TIMEOUT, rank=rank, world_size=processes)
        speed = _train(config, settings, style, steps, warm_up, bf16, processes, rank)
        if processes > 1:
            torch.distributed.destroy_process_group()
        if processes > 1 and rank == 0:
            other.wait()
    return {"tokens_per_second": speed}


def _train(config, settings, style, steps, warm_up, bf16, processes, rank):
    config = load_config(config, settings)
    data = load_dataset(config.data, config.seed, CACHE)
    lengths, size = data.train.lengths, config.train.batch_size
    order = generator(config.seed, "order", 0)
    if style == "tutorial":
        batches = np.array_split(order.permutation(len(lengths)), len(lengths) // size)
    else:
        batches = epoch_batches(lengths, size, order)
    step = _make_step(config, data, style, bf16, processes)
    tokens, start = 0, 0.0
    for number, rows in enumerate(batches[: warm_up + steps]):
        if number == warm_up:
            tokens, start = 0, time.perf_counter()
        step(rows[rank::processes])  # sorted by length: every other text is an equal share of the work
        tokens += int(lengths[rows].sum())
    return tokens / (time.perf_counter() - start)


def _make_step(config, data, style, bf16, processes):
    """Return a function that trains on the given rows."""
    torch.manual_seed(config.seed)
    model = Classifier(config, data, sparse=style != "tutorial")
    texts = Texts(data.train, model.padding)
    embedding = list(model.embedding.parameters())
    dense = [*model.rnn.parameters(), *model.output.parameters()]
    lr = config.optim.lr
    if style == "tutorial":
        optimizers = [torch.optim.Adam(model.parameters(), lr=lr)]
    else:
        optimizers = [torch.optim.SparseAdam(embedding, lr=lr), torch.optim.Adam(dense, lr=lr, fused=True)]
    forward = model if processes == 1 else DistributedDataParallel(model)

    def step(rows):
        for optimizer in optimizers:
            optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = nn.functional.cross_entropy(forward(texts.batch(rows)), texts.labels[torch.from_numpy(rows.copy())])
        loss.backward()
        nn.utils.clip_grad_norm_(dense, config.optim.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
        return loss.item()

    return step


def has_bf16():
    known = torch.cpu.get_capabilities()
    return any(known.get(unit) for unit in ("amx_bf16", "avx512_bf16", "bf16"))


@torch.no_grad()
def score(config, settings):
    """Score the validation part in rnncli's batches; return the seconds."""
    config = load_config(config, settings)
    data = load_dataset(config.data, config.seed, CACHE)
    model = Classifier(config, data, sparse=False).eval()
    texts = Texts(data.valid, model.padding)
    batches = list(scoring_batches(data.valid.lengths, SCORING_BATCH))
    model(texts.batch(batches[0]))
    start = time.perf_counter()
    classes = torch.cat([model(texts.batch(rows)) for rows in batches]).argmax(1)
    float((classes == texts.labels[torch.from_numpy(np.concatenate(batches))]).float().mean())
    return {"seconds": time.perf_counter() - start}


@torch.no_grad()
def latency(config, settings, length, times):
    """Return the median milliseconds that one text of so many tokens takes."""
    config = load_config(config, settings)
    data = load_dataset(config.data, config.seed, CACHE)
    model = Classifier(config, data, sparse=False).eval()
    text = torch.from_numpy(data.train.ids[:length].copy())[None]
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        model(text).softmax(1)
        taken.append(time.perf_counter() - start)
    return {"milliseconds": statistics.median(taken) * 1e3}
