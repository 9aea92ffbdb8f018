"""Fuzz what a tagger and a language model read: ``python tests/fuzz/fuzz_tasks.py conllu -runs=100000``.

FORMAT is one of conllu, columns, text, codec. The first byte of an input decides how it is read, the rest is the file
(for codec the JSON that a checkpoint holds). Whatever comes is refused, or gives arrays that keep what they promise.
"""

import gzip
import sys
from pathlib import Path
from typing import Any

from fuzzing import Check, main, refused_well

SEEDS = {
    "conllu": "# newdoc\n1\ta\ta\tDET\tD\t_\t0\troot\t_\t_\n2-3\tb c\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "2\tb\tb\tNOUN\tN\tX=1|Y=2\t0\troot\t_\t_\n2.1\tz\t_\t_\t_\t_\t_\t_\t_\t_\n\n"
    "1\ta\ta\tX\tX\t_\t0\troot\t_\t_\n",
    "columns": "-DOCSTART- -X- O\n\nU.N. N I-ORG\nis\tV\tO\n\n# N I-X\nX N I-X\nY N B-X\n\nS N S-X\nT N E-X\n\n"
    "-DOCSTART- O O\n",
    "text": "Some text\nof lines, \u2603 and caf\u00e9\n\nanother one\n",
    "codec": '{"kind": "character", "lowercase": false, "tokens": ["<unk>", "a", "b"], "with_end": true}',
}
COLUMNS = ("upos", "xpos", "feats", "feats")
SCHEMES = ("auto", "none", "iob1", "iobes")
BOUNDARIES = (None, "file", "line", "blank_line")


def seeds(name: str) -> list[bytes]:
    raw = SEEDS[name].encode()
    forms = [raw] if name == "codec" else [raw, b"\xef\xbb\xbf" + raw, gzip.compress(raw), raw.replace(b"\n", b"\r\n")]
    return [bytes([mode]) + form for mode in range(16) for form in forms]


def make_check(name: str, folder: Path) -> Check:
    """Return the check of one format; it works in a folder that is there."""
    from rnncli.config.language import LanguageDataConfig
    from rnncli.config.tagging import TaggingDataConfig
    from rnncli.data.language.codecs import codec_from_json
    from rnncli.data.language.corpus import load_corpus
    from rnncli.data.tagging.dataset import load_tagging_dataset
    from rnncli.data.tagging.readers import read_sentences
    from rnncli.data.tagging.schemes import first_fault
    from rnncli.errors import DataError

    path = folder / "data"

    def tagging(mode: int) -> None:
        source: dict[str, Any] = {"format": name, "path": str(path)}
        by_document = bool(mode & 4)
        if name == "conllu":
            source["column"] = COLUMNS[mode % 4]
        else:
            source["scheme"] = SCHEMES[mode % 4]
            source["convert_to"] = None if source["scheme"] == "none" else "iob2"
        data: dict[str, Any] = {"train": source, "valid_fraction": 0.4, "spelling": {"kind": "characters"}}
        config = TaggingDataConfig(**data, split_by="document" if by_document else "sentence")
        if mode & 8:
            for sentence in read_sentences(config.train, by_document, refused_well):
                assert len(sentence.words) == len(sentence.tags) == len(sentence.lines) > 0
                assert sentence.where.startswith(f"{path}:")
                "".join((*sentence.words, *sentence.tags)).encode()
                if name == "columns" and source["scheme"] in ("iob1", "iobes"):
                    assert first_fault(sentence.tags, "iob2") is None
            return
        dataset = load_tagging_dataset(config, 1)
        for part in (dataset.train, dataset.valid):
            assert len(part) > 0
            assert part.lengths.min() > 0
            assert 0 <= part.ids.min() <= part.ids.max() < len(dataset.codec.words)
            assert 0 <= part.labels.min() <= part.labels.max() < len(part.tags)
            assert part.forms.max() < len(part.spellings)
        assert dataset.train.tags == dataset.codec.tags
        assert not dataset.train.unseen.any()

    def text(mode: int) -> None:
        tokenizer = {"kind": ("character", "word", "whitespace", "bpe")[mode // 4 % 4]}
        if tokenizer["kind"] != "bpe":
            tokenizer |= {"min_count": 1, "lowercase": False}
        config = LanguageDataConfig(
            train={"format": "text", "path": str(path)},
            valid_fraction=0.3,
            document_boundary=BOUNDARIES[mode % 4],
            tokenizer=tokenizer,
        )
        corpus = load_corpus(config, folder / "cache")
        for part in (corpus.train, corpus.valid):
            assert len(part) > 1
            assert int(part.tokens.max()) < corpus.codec.size
            assert part.characters >= 0 <= part.unknown
            assert "".join(corpus.codec.stream(part.tokens)) == corpus.codec.decode(part.tokens)
        if mode % 4 == 0 and tokenizer["kind"] in ("character", "bpe"):
            whole = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
            if whole[:2] != b"\x1f\x8b":
                assert whole.decode().startswith(corpus.codec.decode(corpus.train.tokens))

    def codec(rest: bytes) -> None:
        try:
            made = codec_from_json(rest.decode("utf-8", "replace"))
        except ValueError:
            return
        assert made.encode("a b").max(initial=0) < made.size
        made.decode(range(made.size))

    def check(data: bytes) -> None:
        import shutil

        mode, rest = data[0] % 16 if data else 0, data[1:]
        path.write_bytes(rest)
        try:
            if name == "codec":
                codec(rest)
            elif name == "text":
                text(mode)
                shutil.rmtree(folder / "cache")
            else:
                tagging(mode)
        except DataError as error:
            refused_well(error)

    return check


def make_check_of_small_texts(name: str, folder: Path) -> Check:
    """Return the same with a lower limit for what a compressed file may hold, see fuzz_readers.py."""
    from rnncli.data import text_files

    text_files.UNPACKED_FREELY = 2**15
    return make_check(name, folder)


if __name__ == "__main__":
    chosen = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    if chosen not in SEEDS:
        sys.exit(f"name a format: {', '.join(SEEDS)}")
    main(lambda folder: make_check_of_small_texts(chosen, folder), lambda _: seeds(chosen), ["rnncli", "json"])
