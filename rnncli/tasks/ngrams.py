"""The n-grams of a classifier: counted in its training part, and those of another model that it starts from."""

from dataclasses import replace

from rnncli.config import Config
from rnncli.config.ngrams import NgramConfig
from rnncli.data.dataset import Dataset
from rnncli.errors import ConfigError
from rnncli.ngram_counts import NgramCounts, count_ngrams
from rnncli.ngram_inputs import cross_fitted
from rnncli.randomness import generator
from rnncli.tasks.weights import Source


def with_ngrams(config: Config, data: Dataset) -> Dataset:
    """Return data with its n-grams counted and, if the layers read their ratios, those of the training part.

    Parameters
    ----------
    config : Config
        Of a classifier.
    data : Dataset
        Of the whole run; as it is where the config has no n-grams or they were counted before.

    Returns
    -------
    Dataset
        With ``ngrams``, and ``train.inputs``.

    Raises
    ------
    ConfigError
        If the training part has no n-gram often enough, or there is no memory for the ratios.
    """
    settings, train = config.model.ngrams, data.train
    if settings is None or data.ngrams is not None:
        return data
    counts = _count(settings, data)
    if settings.inputs:
        try:
            inputs = cross_fitted(
                train.ids,
                train.offsets,
                train.labels,
                counts,
                orders=settings.orders,
                min_count=settings.min_count,
                rng=generator(config.seed, "folds"),
            )
        except MemoryError as error:
            columns = settings.columns(len(data.labels))
            raise ConfigError(
                f"there is no memory for {columns:,} ratios at each of {len(train.ids):,} tokens, "
                f"{4e-9 * columns * len(train.ids):,.1f} GB",
                where="model.ngrams.inputs",
                remedy="Give inputs: false, or lower model.ngrams.orders",
            ) from error
        train = replace(train, inputs=inputs)
    return replace(data, train=train, ngrams=counts)


def refuse_other_ngrams(ours: NgramConfig | None, source: Source, where: str, same_labels: bool) -> None:
    """Refuse to go on without the n-grams of another model, or to take weights of theirs for what they are not."""
    theirs: NgramConfig | None = source.config.model.ngrams
    read, to_read = (settings is not None and settings.inputs for settings in (theirs, ours))
    if theirs is not None and ours is None:
        raise ConfigError(
            f"{where} has n-grams and the model of this config has none",
            where="init_from",
            remedy="Give model.ngrams, {} for its defaults",
        )
    weighted = theirs is not None and theirs.naive_bayes == "weight"
    if theirs is not None and ours is not None and weighted != (ours.naive_bayes == "weight"):
        says = "are multiplied by log-count ratios" if weighted else "are not multiplied by anything"
        raise ConfigError(
            f"the weights of the n-grams of {where} {says}, unlike those of this config",
            where="init_from",
            remedy=f"Give model.ngrams.naive_bayes: {theirs.naive_bayes}",
        )
    if read != to_read:
        raise ConfigError(
            f"the layers of {where} {'' if read else 'do not '}read the ratios of n-grams, unlike those of this config",
            where="init_from",
            remedy=f"Give model.ngrams.inputs: {str(read).lower()}",
        )
    if theirs is not None and ours is not None and read and theirs.orders != ours.orders:
        raise ConfigError(
            f"the layers of {where} read the ratios of n-grams of up to {theirs.orders} tokens, unlike those of this "
            "config",
            where="init_from",
            remedy=f"Give model.ngrams.orders: {theirs.orders}",
        )
    if read and not same_labels:
        raise ConfigError(
            f"the layers of {where} read how n-grams tell its labels apart, and the training part has others",
            where="init_from",
            remedy="Start from a language model, or leave init_from out",
        )


def _count(settings: NgramConfig, data: Dataset) -> NgramCounts:
    """Return the n-grams that the wide branch is to have; refuse a count that none has."""
    counts = count_ngrams(
        data.train.ids,
        data.train.offsets,
        data.train.labels,
        len(data.labels),
        orders=settings.orders,
        min_count=settings.min_count,
        most=settings.max_ngrams,
    )
    if not len(counts.keys):
        raise ConfigError(
            f"{settings.min_count:,} is more than any n-gram has: none is in as many of the {len(data.train):,} texts",
            where="model.ngrams.min_count",
            remedy="Lower it",
        )
    return counts
