from types import SimpleNamespace

import numpy as np
import pytest

from rnncli.data.tagging.batches import make_tagged_batch, unpack_tags
from rnncli.data.tagging.codec import learn_tagging_codec
from rnncli.data.tagging.sentences import Sentence

TEXTS = {"a cat sat": "D N V", "cats": "N", "a dog was seen": "D N A V", "sat": "V", "a a": "D D"}
SENTENCES = [
    Sentence(tuple(text.split()), tuple(tags.split()), "x:1", tuple(range(len(text.split()))))
    for text, tags in TEXTS.items()
]


@pytest.fixture(params=["characters", "ngrams", None])
def texts(request):
    spelling = {
        "characters": SimpleNamespace(kind="characters", min_count=1, max_length=9),
        "ngrams": SimpleNamespace(kind="ngrams", shortest=2, longest=3, buckets=50),
        None: None,
    }[request.param]
    words = SimpleNamespace(lowercase=True, max_vocab=99, min_count=1)
    codec = learn_tagging_codec(SENTENCES, words, spelling, "x")
    return codec.encode(SENTENCES)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [3, 0, 2], [1], [4, 4]])
def test_each_word_has_its_id_its_tag_and_its_spelling(texts, rows):
    batch = make_tagged_batch(texts, np.array(rows))
    for row in range(batch.packing.rows):
        sentence = rows[batch.packing.order[batch.packing.sequences[row]]]
        word = texts.offsets[sentence] + batch.packing.times[row]
        assert batch.ids[row] == texts.ids[word]
        assert batch.y[row] == texts.labels[word]
        if texts.spellings is None:
            assert batch.forms is None
            continue
        form = batch.forms.of_word[row]
        mine = batch.forms.pieces[batch.forms.packing.sequences == form]
        expected = texts.spellings.offsets[texts.forms[word] :][:2]
        assert mine.tolist() == texts.spellings.pieces[slice(*expected)].tolist()
    if batch.forms is not None:
        words = {word for row in rows for word in SENTENCES[row].words}
        assert len(batch.forms.packing.lengths) == len(words)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [3, 0, 2], [1]])
def test_tags_come_back_by_sentence(texts, rows):
    batch = make_tagged_batch(texts, np.array(rows))
    tags = [[texts.tags[label] for label in labels] for labels in unpack_tags(batch.y, batch.packing)]
    assert tags == [list(SENTENCES[row].tags) for row in rows]
