import os
import pickle
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnncli.data import pickled_lists
from rnncli.data.pickled_lists import unpickled_lists
from rnncli.errors import DataError

# An audit hook cannot be taken away again, so there is one for all tests, and it only notes.
WATCHED = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "import")
SEEN: list[tuple] = []
sys.addaudithook(lambda event, args: SEEN.append((event, *args)) if event in WATCHED else None)

PROTOCOLS = (2, 3, 4, 5)


def objects(items):
    array = np.empty(len(items), object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def pickled(items, protocol=4):
    return pickle.dumps(objects(items), protocol=protocol)


def lists(data, rows):
    SEEN.clear()
    try:
        found = unpickled_lists(data, rows, "a.npz:x")
    finally:
        assert [event for event in SEEN if event[0] != "import"] == []
    assert all(item.dtype == np.int32 for item in found)
    return [item.tolist() for item in found]


def refusal(data, rows):
    with pytest.raises(DataError) as caught:
        lists(data, rows)
    message = str(caught.value)
    assert message.startswith("a.npz:x: ")
    assert "\n" not in message
    assert len(message) < 400
    return message.removeprefix("a.npz:x: holds something other than lists of integers: ")


# ---- what NumPy writes ----------------------------------------------------------------------------------------------

ROWS = [[0, 1, 255, 256, 65535, 65536, 2**31 - 1], [], [7], list(range(2500)), [3] * 1001, [5] * 1000]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_lists_that_numpy_wrote(protocol):
    assert lists(pickled(ROWS, protocol), len(ROWS)) == ROWS


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_lists_and_many(protocol):
    assert lists(pickled([], protocol), 0) == []
    many = [[i, i + 1] for i in range(3001)]
    assert lists(pickled(many, protocol), 3001) == many


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_frames(protocol):
    rows = [list(range(i, 70_000 + i)) for i in range(0, 90_000, 30_000)]
    assert lists(pickled(rows, protocol), 3) == rows


def test_lists_that_an_older_numpy_wrote():
    for protocol in (2, 3):
        data = pickled(ROWS, protocol)
        assert b"numpy._core.multiarray" in data
        assert lists(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"), len(ROWS)) == ROWS
    data = pickled([[1]], 4)
    old = data.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    assert len(old) == len(data) - 1
    assert lists(old, 1) == [[1]]


def test_lists_that_python_2_wrote():
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85q\x03U\x01bq\x04\x87Rq\x05"
        b"(K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02O8q\x07K\x00K\x01\x87Rq\x08(K\x03U\x01|q\x09NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK?tb\x89]q\x0a(]q\x0b(K\x05\x8a\x01\x07e]q\x0cM\x00\x01aetb."
    )
    assert np.array_equal(pickle.loads(data, encoding="latin1"), objects([[5, 7], [256]]))
    assert lists(data, 2) == [[5, 7], [256]]


def test_a_list_that_is_there_twice():
    same = [1, 2, 3]
    assert lists(pickled([same, [4], same]), 3) == [same, [4], same]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=20), max_size=20), st.sampled_from(PROTOCOLS))
def test_any_lists_come_back(rows, protocol):
    assert lists(pickled(rows, protocol), len(rows)) == rows


# ---- programs -------------------------------------------------------------------------------------------------------


class Call:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def test_the_watch_would_notice(tmp_path):
    """Real unpickling runs the call and sets off the hook, so the tests below can fail."""
    SEEN.clear()
    data = pickled([[1], Call(os.mkdir, str(tmp_path / "ran"))])
    pickle.loads(data)
    assert (tmp_path / "ran").exists()
    assert any(event[0] == "pickle.find_class" for event in SEEN)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("place", ["whole", "row", "item", "first"])
@pytest.mark.parametrize("name", ["system", "mkdir", "eval", "exec", "import"])
def test_no_call_is_made(tmp_path, protocol, place, name):
    ran = tmp_path / "ran"
    call = {
        "system": Call(os.system, f"touch {ran}"),
        "mkdir": Call(os.mkdir, str(ran)),
        "eval": Call(eval, f"__import__('os').mkdir({str(ran)!r})"),
        "exec": Call(exec, f"import os; os.mkdir({str(ran)!r})"),
        "import": Call(__import__, "rnncli_is_not_to_import_this"),
    }[name]
    if place == "whole":
        data = pickle.dumps(call, protocol=protocol)
    else:
        data = pickled({"row": [[1], call], "item": [[1, call], [2]], "first": [call, [1]]}[place], protocol)
    assert refusal(data, 2).startswith("the name '")
    assert not ran.exists()
    assert not any("rnncli_is_not_to_import_this" in map(str, event) for event in SEEN)


NEVER = b"cos\nsystem\n"  # a name by itself, for instructions that would use it
HAND_MADE = {
    "name": (NEVER + b".", "the name 'os system'"),
    "stacked name": (b"\x8c\x02os\x8c\x06system\x93.", "the name 'os system'"),
    "name out of numbers": (b"K\x01K\x02\x93.", "a name that is not a string"),
    "name by memo": (b"\x8c\x02os\x940\x8c\x06system\x94h\x00h\x01\x93.", "the instruction POP"),
    "instance": (b"(X\x01\x00\x00\x00aios\nsystem\n.", "the instruction INST"),
    "object": (b"(cnumpy\ndtype\nX\x01\x00\x00\x00ao.", "the instruction OBJ"),
    "new object": (b"cnumpy\nndarray\n)\x81.", "the instruction NEWOBJ"),
    "new object with keywords": (b"cnumpy\nndarray\n)}\x92.", "the instruction EMPTY_DICT"),
    "extension": (b"\x82\x01.", "the instruction EXT1"),
    "persistent": (b"Pabc\n.", "the instruction PERSID"),
    "binary persistent": (b"K\x01Q.", "the instruction BINPERSID"),
    "buffer": (b"\x97.", "the instruction NEXT_BUFFER"),
    "duplicate": (b"K\x012.", "the instruction DUP"),
    "old string": (b"S'a'\n.", "the instruction STRING"),
    "old string with a bad escape": (b"S'\\d'\n.", "the instruction STRING"),
    "old integer": (b"I5\n.", "the instruction INT"),
    "float": (b"G?\xf0\x00\x00\x00\x00\x00\x00.", "the instruction BINFLOAT"),
    "set": (b"\x8f.", "the instruction EMPTY_SET"),
    "encode to something else": (
        b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00latin1\x86R.",
        "a call of _codecs.encode with other",
    ),
    "another dtype": (b"cnumpy\ndtype\nX\x02\x00\x00\x00i8\x89\x88\x87R.", "a call of numpy.dtype with other"),
    "another shape first": (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x07\x85C\x01b\x87R.",
        "a call of numpy's _reconstruct with other",
    ),
    "a call of a string": (b"X\x01\x00\x00\x00a)R.", "a call of a string with other"),
    "details for a list": (b"])b.", "details for a list"),
    "append to a string": (b"X\x01\x00\x00\x00aK\x01a.", "items for what is not a list"),
    "append to itself": (b"]\x94h\x00a.", "something else than one array"),
    "no mark": (b"]K\x01e.", "an instruction without its mark"),
    "a mark as an item": (b"]((e.", "items for what is not a list"),
    "a mark in a tuple": (b"(\x85.", "an instruction with too few items"),
    "too few": (b"K\x01\x86.", "an instruction with too few items"),
    "unknown reference": (b"h\x05.", "a reference to item 5, which there is not"),
    "only a number": (b"K\x01.", "something else than one array"),
    "nothing": (b".", "something else than one array"),
    "bytes behind": (b"K\x01..", "bytes after its end"),
    "unknown instruction": (b"\xff.", "its pickle is damaged"),
    "empty": (b"", "its pickle is damaged"),
    "append to nothing": (b"K\x01a.", "its pickle is damaged"),
    "memo of nothing": (b"\x94.", "its pickle is damaged"),
    "string longer than the file": (b"X\xff\xff\xff\x7fa.", "its pickle is damaged"),
    "integer of many digits": (b"L" + b"9" * 5000 + b"L\n.", "its pickle is damaged"),
}


@pytest.mark.parametrize(("data", "said"), HAND_MADE.values(), ids=HAND_MADE)
def test_every_other_instruction_is_refused(data, said):
    message = refusal(b"\x80\x04" + data, 1).removeprefix("a.npz:x: ")
    assert message.startswith(said)


# ---- other contents -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([[1], [-1]], "an integer below 0 or above"),
        ([[1], [2**31]], "an integer below 0 or above"),
        ([[1], [10**30]], "an integer below 0 or above"),
        ([[1], [True]], "a list item that is a boolean"),
        ([[1], [1.0]], "the instruction BINFLOAT"),
        ([[1], [None, 1]], "a list item that is None"),
        ([[1], ["a"]], "a list item that is a string"),
        ([[1], [(1,)]], "a list item that is a tuple"),
        ([[1], {}], "the instruction EMPTY_DICT"),
        ([[1], (1,)], "a list item that is a tuple"),
        ([[1], 1], "lists among integers"),
        ([1, 1], "an array of another size"),
    ],
)
def test_other_contents_are_refused(items, said, protocol):
    assert refusal(pickled(items, protocol), 2).startswith(said)


def test_lists_inside_lists_are_refused():
    inner = []
    nested = [[inner], inner]
    assert refusal(pickled(nested), 3).startswith("an array of another size")
    shared = [1]
    assert refusal(pickled([shared, [shared]]), 2).startswith("lists inside lists")
    loop = []
    loop.append(loop)
    assert refusal(pickled([loop]), 1).startswith("lists inside lists")


def test_numpy_integers_inside_lists_are_refused():
    assert "scalar'" in refusal(pickled([[np.int64(1)]]), 1)


def test_arrays_of_another_kind_are_refused():
    assert refusal(pickle.dumps(np.array([[[1], [2, 3]]], object), 4), 2).startswith("an array of another size")
    assert refusal(pickle.dumps(np.arange(3), 4), 3).startswith("a call of numpy.dtype with other")
    assert refusal(pickle.dumps([[1], [2]], 4), 2).startswith("something else than one array")


@pytest.mark.parametrize("claimed", [0, 1, 3, 10**6])
def test_another_number_of_lists_than_claimed_is_refused(claimed):
    assert f"the {claimed:,} that its header claims" in refusal(pickled([[1], [2]]), claimed)


# ---- size -----------------------------------------------------------------------------------------------------------

FLOODS = {
    "integers": (b"K\x00" * 10_000 + b".", "more items at once"),
    "marks": (b"(" * 10_000 + b".", "more items at once"),
    "references": (b"]\x94" + b"h\x00" * 10_000 + b".", "more items at once"),
    "lists": (b"]" * 10_000 + b".", "more lists than the 5"),
    "strings": (b"\x8c\x01a" * 10_000 + b".", "more instructions than NumPy writes"),
    "nested tuples": (b")" + b"\x85" * 10_000 + b".", "more instructions than NumPy writes"),
    "memo": (b"K\x01" + b"\x94" * 10_000 + b".", "more references than NumPy writes"),
    "memo by number": (
        b"K\x01" + b"".join(b"q%c" % (i % 256) + b"\x94" for i in range(9999)) + b".",
        "more references",
    ),
    "a list many times": (b"](" + b"(".join([b"]\x94"]) + b"h\x00" * 6 + b"e.", "more lists than the 5"),
}


@pytest.mark.parametrize(("data", "said"), FLOODS.values(), ids=FLOODS)
def test_what_would_fill_the_memory_is_refused(data, said):
    assert refusal(b"\x80\x04" + data, 5).startswith(said)


def test_one_list_referred_to_many_times_is_counted_each_time(monkeypatch):
    same = [1] * 100
    data = pickled([same] * 50)
    monkeypatch.setattr(pickled_lists, "MAX_INTEGERS", 5000)
    assert len(lists(data, 50)) == 50
    monkeypatch.setattr(pickled_lists, "MAX_INTEGERS", 4999)
    assert refusal(data, 50).startswith("more than 4,999 integers")


# ---- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_truncation_is_refused(protocol):
    data = pickled([[1, 300, 70_000], [], [5]], protocol)
    for end in range(len(data)):
        assert "its pickle is damaged" in refusal(data[:end], 3)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PROTOCOLS), st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=4))
@example(2, [])
def test_flipped_bytes_give_lists_or_a_data_error(protocol, flips):
    data = bytearray(pickled([[1, 300, 70_000], [], [5]], protocol))
    for at, value in flips:
        data[at % len(data)] = value
    try:
        found = lists(bytes(data), 3)
    except DataError:
        return
    assert len(found) == 3


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([bytes([i]) for i in range(256)] + [NEVER, b"K\x01", b"h\x00", b"\x94", b"]"])))
def test_any_bytes_give_a_data_error(parts):
    with pytest.raises(DataError):
        lists(b"\x80\x04" + b"".join(parts) + b".", 2)
