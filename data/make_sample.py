"""Write data/sample.csv: synthetic reviews, made from the templates below, so that tests need no network.

Nothing here was written by a reviewer. The wording is this project's own and the file is meant for tests and first
steps, not for judging a model: every statement says outright whether it praises or blames. What makes it a task for a
sequence model is negation. "not good" blames, "not dull" praises, and both kinds of review negate equally often, so
the words taken one by one say little; their order does.

Run ``python data/make_sample.py`` to write the file again; the same bytes come out on every machine.
"""

import csv
import random
import sys
from collections.abc import Sequence
from pathlib import Path

ROWS = 400
SEED = 20


def alternatives(text: str) -> list[str]:
    """Return the wordings that bars separate."""
    return text.split("|")


GOOD = alternatives("good|great|funny|moving|clever|honest|fresh|warm|sharp|gripping")
BAD = alternatives("bad|dull|weak|clumsy|lazy|hollow|stale|cold|boring|shallow")
NEGATED_SHARE = 0.4

SUBJECTS = alternatives(
    "the plot|the acting|the music|the script|the ending|the pacing|the dialogue|the first half|the camera work|"
    'the humour|the lead|the cast, taken together,|the so-called "twist"|the décor'
)
PLAIN = alternatives("{s} is {a}|{s} was really {a}|I found {s} {a}|{s} seemed {a} to me|{s} felt {a}, start to finish")
NEGATED = alternatives(
    "{s} is not {a}|{s} isn't {a}|{s} was never {a}|I did not find {s} {a}|{s} wasn\u2019t at all {a}"
)
NEUTRAL = alternatives(
    "I saw it on a Tuesday|it runs for 97 minutes|we had seats in the back row|there are 3 songs in it|"
    "my neighbour lent me the disc|it is set in a harbour town|the café next door was closed|no spoilers here"
)
JOINTS = [". ", "; ", ", and ", "! ", " — ", ".\n", ".<br /><br />", "... "]
ENDINGS = [".", "!", "...", ". 🎬", '. As my aunt says: "there you go".']
AUTHORS = alternatives(
    'Ada Quill|Bo Lind|Chidi N.|Dora Vance|Emre Tan|Fay Moss|Gus Ito|Hana Malá|Ivo Brandt|Jo "Reel" Park|Kit O\'Dell|'
    "Lena Fjørd|Mo Haddad|Nia Webb|Otto Grün|Paz Ruiz|Quinn, R.|Rosa Lund|Sven Åberg|Tia Cole|Uma Rao|Vic Stone|"
    "Wen Zhao|Žofie Černá"
)


def pick(rng: random.Random, items: Sequence[str]) -> str:
    """Return one of the items; only random() is used, whose sequence Python promises never to change."""
    return items[int(rng.random() * len(items))]


def opinion(rng: random.Random, positive: bool) -> str:
    """Return one statement that praises or blames, negated or not."""
    negated = rng.random() < NEGATED_SHARE
    adjective = pick(rng, GOOD if positive != negated else BAD)
    return pick(rng, NEGATED if negated else PLAIN).format(s=pick(rng, SUBJECTS), a=adjective)


def review(rng: random.Random, positive: bool) -> str:
    """Return a review of two to four statements, one of which may be beside the point."""
    statements = [opinion(rng, positive) for _ in range(2 + int(rng.random() * 2))]
    if rng.random() < 0.5:
        statements.insert(int(rng.random() * (len(statements) + 1)), pick(rng, NEUTRAL))
    text = statements[0]
    for statement in statements[1:]:
        text += pick(rng, JOINTS) + statement
    return text[0].upper() + text[1:] + pick(rng, ENDINGS)


def make_rows() -> list[tuple[str, str, str]]:
    """Return ROWS (text, label, author) with no text twice and as many of one label as of the other."""
    rng = random.Random(SEED)
    rows: dict[str, tuple[str, str, str]] = {}
    while len(rows) < ROWS:
        positive = len(rows) % 2 == 0
        text = review(rng, positive)
        rows.setdefault(text, (text, "positive" if positive else "negative", pick(rng, AUTHORS)))
    return list(rows.values())


def write_sample(path: Path) -> None:
    """Write the rows as csv with a header, UTF-8, one line feed after each row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label", "author"))
        writer.writerows(make_rows())


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("sample.csv")
    write_sample(target)
    print(f"wrote {ROWS} synthetic reviews to {target}")
