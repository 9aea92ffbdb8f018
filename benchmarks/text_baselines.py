"""What fastText and logistic regression on TF-IDF reach on the validation part of a config.

    pip install fasttext-wheel 'rnncli[sklearn]'
    python benchmarks/text_baselines.py [--config configs/imdb_best.yaml] [--seeds 1 2 3]

The same texts, splits and tokens as the config's model has, whole and with every word; words and pairs of words. What
each can be set to is chosen on the validation part it is reported on, in its favour: of fastText (Joulin et al. 2017,
Bag of tricks for efficient text classification, section 3.1: 10 numbers a word) the learning rate and 5 epochs, as in
its paper, or 25, as in its documentation; of logistic regression C. NB-SVM is in rnncli: rnncli eval --baseline.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import fasttext
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from rnncli.config import load_config
from rnncli.data.dataset import read_parts
from rnncli.data.tokenizers import make_tokenizer

EPOCHS, RATES = (5, 25), (0.1, 0.25, 0.5, 1.0)
COSTS = (1.0, 3.0, 10.0, 30.0)

Part = tuple[list[str], np.ndarray]  # tokens between spaces, classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/imdb_best.yaml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = parser.parse_args()
    config = load_config(args.config)
    tokenizer = make_tokenizer(config.data.tokenizer.kind, config.data.tokenizer.lowercase)
    reached: dict[str, list[float]] = {}
    for split in args.seeds:
        parts = read_parts(config.data, split)
        numbers = {label: number for number, label in enumerate(sorted({row.label for row in parts[0]}))}
        train, valid = (
            ([" ".join(tokenizer(row.text)) for row in part], np.array([numbers[row.label] for row in part]))
            for part in parts
        )
        for name, tried in (("fastText", of_fasttext(train, valid, split)), ("TF-IDF", of_tfidf(train, valid))):
            accuracy, settings, seconds = max(tried)
            reached.setdefault(name, []).append(accuracy)
            print(f"split {split}: {name} {accuracy:.2%} with {settings}, trained in {seconds:.1f} s", flush=True)
    for name, figures in reached.items():
        spread = np.std(figures, ddof=1) if len(figures) > 1 else 0
        print(f"{name}: mean {np.mean(figures):.2%}, standard deviation {spread * 100:.2f} points")


def of_fasttext(train: Part, valid: Part, seed: int) -> Iterator[tuple[float, str, float]]:
    """Yield accuracy, settings and seconds of training of each setting."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "train.txt")
        lines = (f"__label__{label} {text}\n" for text, label in zip(*train, strict=True))
        path.write_text("".join(lines), encoding="utf-8")
        for epochs, rate in product(EPOCHS, RATES):
            start = time.monotonic()
            model = fasttext.train_supervised(
                str(path), lr=rate, epoch=epochs, dim=10, wordNgrams=2, minCount=1, thread=2, seed=seed, verbose=0
            )
            seconds = time.monotonic() - start
            # Its own predict() asks NumPy for what version 2 refuses; a text without tokens has no answer.
            said = [model.f.predict(text + "\n", 1, 0.0, "strict") for text in valid[0]]
            hits = [bool(s) and s[0][1] == f"__label__{label}" for s, label in zip(said, valid[1], strict=True)]
            yield float(np.mean(hits)), f"{epochs} epochs, lr {rate:g}", seconds


def of_tfidf(train: Part, valid: Part) -> Iterator[tuple[float, str, float]]:
    """Yield the same of logistic regression."""
    words = TfidfVectorizer(tokenizer=str.split, token_pattern=None, lowercase=False, ngram_range=(1, 2))
    start = time.monotonic()
    seen, new = words.fit_transform(train[0]), words.transform(valid[0])
    reading = time.monotonic() - start
    for C in COSTS:
        start = time.monotonic()
        model = LogisticRegression(C=C, max_iter=1000).fit(seen, train[1])
        yield float(model.score(new, valid[1])), f"C {C:g}", reading + time.monotonic() - start


if __name__ == "__main__":
    main()
