"""The data sections of language models and taggers: every key changes what is loaded, and what does nothing is refused.

Built as tests/test_config_keys.py is: one row a key, and a key without a row fails.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from test_config_keys import keys_of
from tiny_runs import merged

from rnncli.config import TaggingConfig, loading
from rnncli.config.language import LanguageDataConfig
from rnncli.config.tagging import TaggingDataConfig
from rnncli.data.language.corpus import load_corpus
from rnncli.data.language.encoding import encode_text
from rnncli.data.tagging.readers import read_sentences
from rnncli.errors import ConfigError, RnncliError
from rnncli.tasks import task_of


def parse(schema: type, values: Mapping[str, Any]) -> Any:
    return loading.validate(schema, loading.from_values(values, "row"))


def digest(*arrays: Any) -> str:
    hashed = hashlib.sha256()
    for array in arrays:
        array = np.asarray(array)
        hashed.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return hashed.hexdigest()


def language(data: LanguageDataConfig) -> Any:
    corpus = load_corpus(data, Path("cache"))
    test = () if data.test is None else encode_text(data.test, data.document_boundary, corpus.codec).tokens
    return corpus.codec.to_json(), digest(corpus.train.tokens, corpus.valid.tokens, test)


def tagging(data: TaggingDataConfig) -> Any:
    config = TaggingConfig(task="tagging", data=data)
    dataset = task_of(config).load(config, None)
    out: list[Any] = [dataset.codec.words.tokens, dataset.train.tags, dataset.valid.tags]
    for part in (dataset.train, dataset.valid):
        out.append(digest(part.ids, part.labels, part.offsets, part.forms, part.unseen))
        if part.spellings is not None:
            out.append(digest(part.spellings.pieces, part.spellings.offsets))
    return out + ([] if data.test is None else [sentence[:2] for sentence in read_sentences(data.test)])


EFFECTS = {LanguageDataConfig: language, TaggingDataConfig: tagging}


class Row(NamedTuple):
    """``changes`` are laid over the plain section; then the key gets ``value``."""

    value: Any
    changes: Mapping[str, Any] = MappingProxyType({})


TEXT = {"format": "text", "path": "a.txt"}
CSV = {"format": "csv", "path": "a.csv"}
CONLLU = {"format": "conllu", "path": "a.conllu"}
COLUMNS = {"format": "columns", "path": "a.columns"}
IOB2 = {**COLUMNS, "convert_to": "iob2"}
PLAIN: dict[type, dict[str, Any]] = {
    LanguageDataConfig: {"train": TEXT},
    TaggingDataConfig: {"train": COLUMNS, "valid_fraction": 0.4},
}


def language_rows() -> Iterator[tuple[str, Row]]:
    for place in ("train", "valid", "test"):
        yield f"{place}[text].path", Row("b.txt", {place: TEXT})
        yield f"{place}[text].format", Row("python_stdlib", {place: TEXT})
        yield f"{place}[python_stdlib].format", Row("text", {place: {"format": "python_stdlib"}})
        for name in ("aclimdb", "csv", "tsv", "jsonl", "fasttext"):
            changes = {place: {"format": name, "path": f"a.{name}"}}
            changes |= {"document_boundary": "line"} if place != "train" else {}
            yield f"{place}[{name}].format", Row("text", changes)
            yield f"{place}[{name}].path", Row(f"b.{name}", changes)
            if name in ("csv", "tsv", "jsonl"):
                yield f"{place}[{name}].text", Row("other", changes)
    for kind in ("word", "whitespace"):
        for key, value in {"kind": "character", "lowercase": False, "max_vocab": 4, "min_count": 30}.items():
            yield f"tokenizer[{kind}].{key}", Row(value, {"tokenizer": {"kind": kind}})
    for key, value in {"kind": "word", "lowercase": True, "max_vocab": 4, "min_count": 40}.items():
        yield f"tokenizer[character].{key}", Row(value)
    for key, value in {"kind": "word", "size": 260, "min_count": 30}.items():
        yield f"tokenizer[bpe].{key}", Row(value, {"tokenizer": {"kind": "bpe", "size": 350}})
    for key, value in {"kind": "word", "path": "b.json"}.items():
        yield f"tokenizer[file].{key}", Row(value, {"tokenizer": {"kind": "file", "path": "a.json"}})
    yield "valid_fraction", Row(0.3)
    yield "document_boundary", Row("line")


def tagging_rows() -> Iterator[tuple[str, Row]]:
    for place in ("train", "valid", "test"):
        for key, value in {"format": "columns", "path": "b.conllu", "column": "xpos"}.items():
            yield f"{place}[conllu].{key}", Row(value, {"train": CONLLU, place: CONLLU})
        others = {
            "format": "conllu",
            "path": "b.columns",
            "word": 2,
            "tag": 2,
            "comment": "# ",
            "separator": " ",
        }
        for key, value in others.items():
            yield f"{place}[columns].{key}", Row(value, {place: COLUMNS})
        yield f"{place}[columns].scheme", Row("iobes", {place: COLUMNS})
        yield f"{place}[columns].convert_to", Row("iobes", {place: COLUMNS})
    yield "valid_fraction", Row(0.2)
    yield "split_seed", Row(2)
    yield "split_by", Row("document")
    for key, value in {"lowercase": False, "max_vocab": 3, "min_count": 4}.items():
        yield f"words.{key}", Row(value)
    for key, value in {"kind": "ngrams", "min_count": 8, "max_length": 2}.items():
        yield f"spelling[characters].{key}", Row(value, {"spelling": {"kind": "characters"}})
    for key, value in {"kind": "characters", "shortest": 3, "longest": 5, "buckets": 7}.items():
        yield f"spelling[ngrams].{key}", Row(value, {"spelling": {"kind": "ngrams"}})


ROWS = {LanguageDataConfig: dict(language_rows()), TaggingDataConfig: dict(tagging_rows())}
EVERY = [pytest.param(schema, key, id=f"{schema.__name__}.{key}") for schema, rows in ROWS.items() for key in rows]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two files of every format."""
    import tokenizers
    from tokenizers import models, pre_tokenizers

    root = tmp_path_factory.mktemp("tasks")
    (root / "cache").mkdir()
    for stem, shift in (("a", 0), ("b", 1)):
        lines = [f"The {'Film' * (i % 3)} no{i % 7 + shift} was  long, wasn't it" for i in range(40)]
        (root / f"{stem}.txt").write_text("\n".join(lines) + "\n")
        (root / f"{stem}.aclimdb" / "pos").mkdir(parents=True)
        rows = {"csv": ["text,other"], "tsv": ["text\tother"], "jsonl": [], "fasttext": []}
        for number, line in enumerate(lines):
            (root / f"{stem}.aclimdb" / "pos" / f"{number}.txt").write_text(f"{line}!")
            line, other = line.replace(",", ""), f"another {number}"
            rows["csv"].append(f"{line},{other}")
            rows["tsv"].append(f"{line}\t{other}")
            rows["jsonl"].append(json.dumps({"text": line, "other": other}))
            rows["fasttext"].append(f"__label__x {line}")
        for name, written in rows.items():
            (root / f"{stem}.{name}").write_text("\n".join(written) + "\n")
        words = [f"w{number}" for number in range(9)][shift:]
        vocabulary = {word: number for number, word in enumerate(["[UNK]", "The", "was", *words])}
        made = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        made.save(str(root / f"{stem}.json"))
        blocks, conllu = [], []
        for i in range(30):
            if i % 3 == 0:
                blocks.append("-DOCSTART- -X- O")
            # "#" is a word here unless comments are asked for; between single spaces there is an empty column.
            blocks.append(f"#  HASH O\nThe DT O\nFilm{i % 7 + shift} NN{i % 2} B-A\nlong{i} JJ I-A\nend NN B-B")
            fields = "\t_\t_\t0\troot\t_\t_"
            rows = [
                f"{n + 1}\t{w}\t_\t{t}\t{t}X{fields[2:]}" for n, (w, t) in enumerate([("a", "D"), (f"b{i % 5}", "N")])
            ]
            conllu.append("\n".join(row if row.count("\t") == 9 else row + "\t_" for row in rows))
        (root / f"{stem}.columns").write_text("\n\n".join(blocks) + "\n")
        (root / f"{stem}.conllu").write_text("\n\n".join(conllu).replace("b", f"b{shift}") + "\n")
    return root


@pytest.mark.parametrize("schema", ROWS)
def test_every_key_has_a_row_and_every_row_a_key(schema):
    assert sorted(ROWS[schema]) == sorted(keys_of(schema))


def outcome(schema: type, values: Mapping[str, Any]) -> Any:
    try:
        return EFFECTS[schema](parse(schema, values))
    except ConfigError:
        raise
    except RnncliError as error:
        return str(error)


@pytest.mark.parametrize(("schema", "key"), EVERY)
def test_the_key_changes_what_is_loaded(schema, key, files, monkeypatch):
    monkeypatch.chdir(files)
    # The real standard library takes seconds to read; a small one stands for it.
    monkeypatch.setattr("rnncli.data.language.sources.sysconfig.get_path", lambda _: str(files / "library"))
    (files / "library").mkdir(exist_ok=True)
    (files / "library" / "this.py").write_text("import other\n" * 20)
    row = ROWS[schema][key]
    values = merged(PLAIN[schema], dict(row.changes))
    if "valid" in values:
        values.pop("valid_fraction", None)
    before = outcome(schema, values)
    path = [part.split("[")[0] for part in key.split(".")]
    changed = json.loads(json.dumps(values))
    section = changed
    for part in path[:-1]:
        section = section.setdefault(part, {})
    if path[-1] in ("format", "kind"):
        kept = {"path": section["path"]} if path[-1] == "format" and "path" in section else {}
        section.clear()
        section.update(kept if row.value != "python_stdlib" else {})
        if row.value == "text":
            section["path"] = "a.txt"
    section[path[-1]] = row.value
    if path[-1] == "convert_to":
        changed["train"]["convert_to"] = row.value
    after = outcome(schema, changed)
    assert not isinstance(before, str), before
    assert before != after


@pytest.mark.parametrize(
    ("schema", "values", "message"),
    [
        (LanguageDataConfig, {"valid": TEXT, "valid_fraction": 0.1}, "valid_fraction: has no effect beside data.valid"),
        (LanguageDataConfig, {"tokenizer": {"kind": "bpe", "lowercase": True}}, "belongs to kind character, word"),
        (LanguageDataConfig, {"tokenizer": {"size": 300}}, "belongs to kind bpe; this is character"),
        (LanguageDataConfig, {"tokenizer": {"kind": "bpe", "size": 256}}, "at least 257"),
        (LanguageDataConfig, {"train": {"format": "python_stdlib", "path": "x"}}, "belongs to format text"),
        (
            LanguageDataConfig,
            {"train": CSV, "document_boundary": "line"},
            "line has no effect on format csv, each of whose",
        ),
        (LanguageDataConfig, {"valid": CSV}, "must not be null with data.valid in format csv"),
        (LanguageDataConfig, {"test": CSV}, "must not be null with data.test in format csv"),
        (LanguageDataConfig, {"train": {**CSV, "label": "x"}}, "train.label"),
        (LanguageDataConfig, {"document_boundary": "page"}, "'page' is not allowed (file, blank_line, line, or null)"),
        (TaggingDataConfig, {"valid": COLUMNS}, "valid_fraction: has no effect beside data.valid"),
        (TaggingDataConfig, {"train": {**COLUMNS, "word": 0}}, "0 is not a column"),
        (TaggingDataConfig, {"train": {**COLUMNS, "word": -1}}, "column -1 is the word already"),
        (
            TaggingDataConfig,
            {"train": {**COLUMNS, "scheme": "none", "convert_to": "iob2"}},
            "no effect with scheme none",
        ),
        (TaggingDataConfig, {"train": {**COLUMNS, "column": "upos"}}, "belongs to format conllu"),
        (
            TaggingDataConfig,
            {"test": {**COLUMNS, "convert_to": "iob2"}},
            "convert_to is iob2, in data.train it is null",
        ),
        (TaggingDataConfig, {"spelling": {"kind": "ngrams", "shortest": 5}}, "4 is less than shortest, 5"),
        (TaggingDataConfig, {"spelling": {"buckets": 9}}, "belongs to kind ngrams"),
    ],
)
def test_what_would_do_nothing_is_refused(schema, values, message):
    with pytest.raises(ConfigError) as caught:
        parse(schema, merged(PLAIN[schema], values))
    assert message in str(caught.value)


def test_a_seed_of_the_split_needs_something_to_split():
    with pytest.raises(ConfigError, match="split_seed: has no effect beside"):
        parse(TaggingDataConfig, {"train": COLUMNS, "valid": COLUMNS, "split_seed": 2})


def test_a_document_split_needs_something_to_split():
    with pytest.raises(ConfigError, match="split_by: has no effect beside"):
        parse(TaggingDataConfig, {"train": COLUMNS, "valid": COLUMNS, "split_by": "document"})


@pytest.mark.parametrize("schema", PLAIN)
def test_what_is_written_is_read_again(schema):
    apart = [{"train": CSV}] if schema is LanguageDataConfig else []
    for values in (PLAIN[schema], {"train": PLAIN[schema]["train"], "valid": PLAIN[schema]["train"]}, *apart):
        section = parse(schema, values)
        assert parse(schema, section.model_dump()) == section
