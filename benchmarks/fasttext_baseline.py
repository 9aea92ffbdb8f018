"""What fastText reaches on the validation part of a config: words and pairs of words, as its paper has them.

    pip install fasttext-wheel
    python benchmarks/fasttext_baseline.py [--config configs/imdb_best.yaml] [--seeds 1 2 3]

The same texts, split and tokens as the config's model has, whole and with every word. As in its paper (Joulin et al.
2017, Bag of tricks for efficient text classification, section 3.1) a word has 10 numbers, and the learning rate is
what is best on the validation part; the epochs too, 5 being the paper's and 25 its documentation's. So its figure is
chosen on what it is reported on.
"""

import argparse
import time
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import fasttext
import numpy as np

from rnncli.config import load_config
from rnncli.data.dataset import read_parts
from rnncli.data.tokenizers import make_tokenizer

EPOCHS, RATES = (5, 25), (0.1, 0.25, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/imdb_best.yaml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = parser.parse_args()
    config = load_config(args.config)
    tokenizer = make_tokenizer(config.data.tokenizer.kind, config.data.tokenizer.lowercase)
    best = []
    for split in args.seeds:
        train, valid = read_parts(config.data, split)
        lines = [" ".join(tokenizer(row.text)) for row in valid]
        numbers = {label: str(number) for number, label in enumerate(sorted({row.label for row in train}))}
        with TemporaryDirectory() as folder:
            path = Path(folder, "train.txt")
            text = "".join(f"__label__{numbers[row.label]} {' '.join(tokenizer(row.text))}\n" for row in train)
            path.write_text(text, encoding="utf-8")
            figures = {}
            for epochs, rate in product(EPOCHS, RATES):
                start = time.monotonic()
                model = fasttext.train_supervised(
                    str(path), lr=rate, epoch=epochs, dim=10, wordNgrams=2, minCount=1, thread=2, seed=split, verbose=0
                )
                seconds = time.monotonic() - start
                # Its own predict() asks NumPy for what version 2 refuses.
                said = [model.f.predict(line + "\n", 1, 0.0, "strict")[0][1] for line in lines]
                hits = [label == f"__label__{numbers[row.label]}" for label, row in zip(said, valid, strict=True)]
                figures[epochs, rate] = (float(np.mean(hits)), seconds)
        accuracy, seconds = max(figures.values())
        epochs, rate = max(figures, key=figures.__getitem__)
        best.append(accuracy)
        print(f"split {split}: {accuracy:.2%} with {epochs} epochs, lr {rate:g}; {seconds:.1f} s of training")
    print(f"mean {np.mean(best):.2%}, standard deviation {np.std(best, ddof=1) if len(best) > 1 else 0:.2%}")


if __name__ == "__main__":
    main()
