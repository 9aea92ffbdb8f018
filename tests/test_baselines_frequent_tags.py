"""The most frequent tag of each word."""

import pytest

from rnncli.baselines.frequent_tags import RARE, learn_frequent_tags

SENTENCES = {
    "the old man": "DET ADJ NOUN",
    "the old old": "DET NOUN ADJ",
    "they man boats": "PRON VERB NOUN",
    "walking is quick": "NOUN AUX ADJ",
    "talking is quick": "VERB AUX ADJ",
    "Singing is May": "VERB AUX PROPN",
    "may is it": "AUX AUX PRON",
    "May May is": "PROPN PROPN AUX",
}


@pytest.fixture
def tags():
    words = [sentence.split() for sentence in SENTENCES]
    return learn_frequent_tags(words, [tags.split() for tags in SENTENCES.values()])


@pytest.mark.parametrize(
    ("word", "tag"),
    [
        ("the", "DET"),
        ("old", "ADJ"),  # twice, once a noun
        ("man", "NOUN"),  # once each: nouns are as frequent as adjectives and more so than verbs
        ("May", "PROPN"),
        ("may", "AUX"),  # as it is written
        ("THE", "DET"),  # in lower case
        ("MAY", "AUX"),  # its lower case is a word that is there
        ("Singing", "VERB"),
        ("singing", "VERB"),
        ("stalking", "NOUN"),  # -lking is of one noun and one verb
        ("Ringing", "VERB"),  # -nging with a capital
        ("boots", "NOUN"),  # -ts; -oots and -ots are not there
        ("", "AUX"),  # of rare words without a capital
    ],
)
def test_words_and_endings(tags, word, tag):
    assert tags.tag(word) == tag


def test_what_has_no_known_ending_gets_the_tag_that_rare_words_have():
    learned = learn_frequent_tags([["a"] * (RARE + 1), ["xy", "xz"]], [["DET"] * (RARE + 1), ["NOUN", "NOUN"]])
    assert learned.most == "DET"
    assert learned.tag("qqq") == "NOUN"  # a rare word is what an unknown one is like
    assert learned.tag("a") == "DET"
    assert learned.tag("Q") == "DET"  # no rare word has a capital


def test_the_same_counts_give_the_same_tags():
    forward = learn_frequent_tags([["a", "a", "b"]], [["X", "Y", "Y"]])
    back = learn_frequent_tags([["b", "a", "a"]], [["Y", "Y", "X"]])
    assert forward == back
    assert forward.tag("a") == "Y"
