"""The most frequent tag of each word; of unknown words, that of their ending."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LONGEST = 5  # characters of an ending
RARE = 10  # occurrences up to which a word tells what unknown words are like


@dataclass(frozen=True)
class FrequentTags:
    """What tags are most frequent.

    Attributes
    ----------
    words : dict of str to str
        Of each word as it is written, and of each in lower case.
    endings : dict of (bool, str) to str
        Of the endings of rare words, those that begin with a capital letter apart.
    most : str
        Of all words.
    """

    words: dict[str, str]
    endings: dict[tuple[bool, str], str]
    most: str

    def tag(self, word: str) -> str:
        """Return the tag of a word: its own, else that of its longest known ending, else the most frequent one."""
        for form in (word, word.lower()):
            if form in self.words:
                return self.words[form]
        for key in _endings(word):
            if key in self.endings:
                return self.endings[key]
        return self.most


def learn_frequent_tags(words: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> FrequentTags:
    """Count the tags of words and of endings.

    Parameters
    ----------
    words, tags : iterable of sequence of str
        The sentences of the training part, at least one word.

    Returns
    -------
    FrequentTags
        Where two tags are as frequent, the one that is more frequent over all, then the first by name.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for sentence, its_tags in zip(words, tags, strict=True):
        pairs.update(zip(sentence, its_tags, strict=True))
    overall: Counter[str] = Counter()
    forms: Counter[str] = Counter()
    by_form: dict[str, Counter[str]] = {}
    by_lower: dict[str, Counter[str]] = {}
    for (form, tag), count in pairs.items():
        overall[tag] += count
        forms[form] += count
        by_form.setdefault(form, Counter())[tag] += count
        by_lower.setdefault(form.lower(), Counter())[tag] += count
    by_ending: dict[tuple[bool, str], Counter[str]] = {}
    for form, count in forms.items():
        if count <= RARE:
            for key in _endings(form):
                by_ending.setdefault(key, Counter()).update(by_form[form])
    rank = {tag: place for place, tag in enumerate(sorted(overall, key=lambda tag: (-overall[tag], tag)))}

    def best(counts: Counter[str]) -> str:
        return min(counts, key=lambda tag: (-counts[tag], rank[tag]))

    return FrequentTags(
        words={form: best(counts) for form, counts in {**by_lower, **by_form}.items()},
        endings={key: best(counts) for key, counts in by_ending.items()},
        most=best(overall),
    )


def _endings(word: str) -> list[tuple[bool, str]]:
    """Return the endings of a word from the longest to the empty one, with whether the word has a capital."""
    capital = word[:1].isupper()
    lower = word.lower()
    return [(capital, lower[len(lower) - length :]) for length in range(min(LONGEST, len(lower)), -1, -1)]
