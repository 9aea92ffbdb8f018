"""From a source in a config to its sentences, whatever its format."""

from collections.abc import Callable, Iterator

from rnncli.data.readers import Source
from rnncli.data.rows import OnBad
from rnncli.data.tagging.columns import read_columns
from rnncli.data.tagging.conllu import read_conllu
from rnncli.data.tagging.sentences import Sentence
from rnncli.errors import DataError

# A reader's arguments are the keys of its format in the config, by_document and on_bad.
READERS: dict[str, Callable[..., Iterator[Sentence]]] = {"conllu": read_conllu, "columns": read_columns}


def read_sentences(source: Source, by_document: bool = False, on_bad: OnBad | None = None) -> Iterator[Sentence]:
    """Yield the sentences of a source.

    Parameters
    ----------
    source : Source
        Where the sentences are and in which format.
    by_document : bool
        Whether the sentences of each document get a group of their own.
    on_bad : callable, optional
        None raises the error of the first bad sentence. Otherwise it is called with the error of each, the sentence
        is left out and reading goes on.

    Returns
    -------
    iterator of Sentence
        In the order of the source. Nothing is opened before the first is asked for.

    Raises
    ------
    DataError
        The source cannot be read, a sentence in it is bad, or it has none.
    """
    keys = source.model_dump()
    name = keys.pop("format")
    bad = False

    def noted(error: DataError) -> None:
        nonlocal bad
        bad = True
        assert on_bad is not None
        on_bad(error)

    some = False
    for sentence in READERS[name](**keys, by_document=by_document, on_bad=None if on_bad is None else noted):
        some = True
        yield sentence
    if not some and not bad:
        raise DataError("there are no sentences", where=str(keys["path"]))
