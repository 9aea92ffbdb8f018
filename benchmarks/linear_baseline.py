"""What TF-IDF and logistic regression reach on the very split of a config.

    python benchmarks/linear_baseline.py configs/quickstart.yaml [--set seed=2]

Needs scikit-learn (pip install 'rnncli[test]'). Unigrams and bigrams, sublinear term frequency, C of 1: the settings
are scikit-learn's defaults but for the bigrams and the sublinear frequency, and none is tuned.
"""

import argparse
import time

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from rnncli.config import load_config
from rnncli.data.dataset import read_parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    config = load_config(args.config, args.overrides)
    train, valid = read_parts(config.data, config.seed)
    start = time.perf_counter()
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=1000))
    model.fit([row.text for row in train], [row.label for row in train])
    accuracy = model.score([row.text for row in valid], [row.label for row in valid])
    print(
        f"TF-IDF + logistic regression, bigrams: accuracy {accuracy:.2%} on {len(valid):,} texts, "
        f"trained on {len(train):,} in {time.perf_counter() - start:.1f} s"
    )


if __name__ == "__main__":
    main()
