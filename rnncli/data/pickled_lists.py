"""Lists of integers out of the pickle that NumPy makes of an array of them, without unpickling.

A pickle is a program: loading one from a stranger can run anything. Here it is only walked, with pickletools, by a
machine that knows the handful of instructions NumPy writes for a one-dimensional array of lists of integers. The
functions that such a pickle names are tokens to be compared with; nothing is imported and nothing is called.
Everything else is refused, and so is what would take much more memory than the pickle is large.
"""

import pickletools
import warnings
from array import array
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnncli.errors import DataError

MAX_LISTS = 1_000_000
MAX_INTEGERS = 2**28
REMEDY = "Use Keras's imdb.npz as it is published; nothing in this file was run"

# NumPy writes some 40 instructions besides the lists, and no list in portions of more than 1,000 items.
_MOST_OTHER_INSTRUCTIONS = 200
_DEEPEST_STACK = 4096


def unpickled_lists(pickled: bytes, rows: int, where: str) -> list[NDArray[np.int32]]:
    """Return the lists of integers that a pickled NumPy array holds, without unpickling it.

    Parameters
    ----------
    pickled : bytes
        The pickle, of protocol 2 to 5, of an array of shape (rows,) and dtype object.
    rows : int
        How many lists the header before the pickle claims.
    where : str
        The file and the array, for the error.

    Returns
    -------
    list of ndarray of shape (length of the list,), int32
        One for each list, all from 0 to 2**31 - 1.

    Raises
    ------
    DataError
        The pickle is damaged or holds anything else.
    """
    return _Machine(where, rows).run(pickled)


class _Token(Enum):
    """What a pickle of such an array refers to by name; never imported."""

    RECONSTRUCT = "numpy's _reconstruct"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    ENCODE = "_codecs.encode"  # how protocol 2 writes bytes
    OBJECT_DTYPE = "numpy.dtype(object)"
    MARK = "mark"


_NAMES = {
    "numpy.core.multiarray _reconstruct": _Token.RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": _Token.RECONSTRUCT,
    "numpy ndarray": _Token.NDARRAY,
    "numpy dtype": _Token.DTYPE,
    "_codecs encode": _Token.ENCODE,
}
_OBJECT_DTYPES = ("O8", "O4", "O")
_OBJECT_DTYPE_STATE = (3, "|", None, None, None, -1, -1, 63)

_INTEGERS = frozenset({"BININT1", "BININT2", "BININT", "LONG1"})
_STRINGS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINSTRING", "SHORT_BINBYTES"})
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _List:
    """A list that the pickle builds: of integers, or (the outer one) of lists."""

    __slots__ = ("integers", "lists")

    def __init__(self) -> None:
        self.integers = array("i")
        self.lists: list[_List] = []


class _Array:
    """The array that the pickle builds; it has its list of lists once it is built."""

    def __init__(self) -> None:
        self.rows: _List | None = None


class _Refused(Exception):
    """The pickle holds what NumPy does not write for an array of lists of integers."""


class _Machine:
    """Walks one pickle; `where` is for the error, `rows` what the .npy header claims."""

    def __init__(self, where: str, rows: int) -> None:
        self.where, self.rows = where, rows
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.lists = self.others = 0
        self.rare: dict[str, Callable[[Any], None]] = {
            "GLOBAL": self._name,
            "STACK_GLOBAL": lambda _: self._name(" ".join(self._strings(2))),
            "TUPLE": lambda _: self.stack.append(tuple(self._to_mark())),
            "REDUCE": lambda _: self._reduce(),
            "BUILD": lambda _: self._build(),
        }

    def run(self, pickled: bytes) -> list[NDArray[np.int32]]:
        """Return the lists that the pickle holds."""
        end = -1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pickletools decodes instructions that are refused after that
                for instruction, argument, at in pickletools.genops(pickled):
                    end = at or 0  # None only for streams that cannot tell
                    self._step(instruction.name, argument)
            if end + 1 != len(pickled):
                raise _Refused("bytes after its end")
            return self._result()
        except _Refused as error:
            what = f"holds something other than lists of integers: {error} (byte {end} of its pickle)"
            raise DataError(what, where=self.where, remedy=REMEDY) from error
        except (ValueError, IndexError, OverflowError, MemoryError) as error:
            # genops reports a truncated or unknown instruction, the stack holds less than an instruction takes
            reason = " ".join(str(error).split())[:200]
            what = f"its pickle is damaged after byte {max(end, 0)} ({reason})"
            raise DataError(what, where=self.where, remedy="Fetch the file again") from error

    def _step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        stack = self.stack
        if name in _INTEGERS:
            stack.append(argument)
        elif name == "APPENDS":
            self._extend(self._to_mark())
        elif name == "APPEND":
            self._extend([stack.pop()])
        elif name == "EMPTY_LIST":
            self.lists += 1
            if self.lists > self.rows + 1:
                raise _Refused(f"more lists than the {self.rows:,} that its header claims")
            stack.append(_List())
        elif name == "MEMOIZE":
            self._memoize(len(self.memo))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memoize(argument)
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in self.memo:
                raise _Refused(f"a reference to item {argument}, which there is not")
            stack.append(self.memo[argument])
        elif name == "MARK":
            stack.append(_Token.MARK)
        elif name not in ("FRAME", "PROTO", "STOP"):
            self._rare_step(name, argument)
        if len(stack) > _DEEPEST_STACK:
            raise _Refused("more items at once than NumPy writes")

    def _rare_step(self, name: str, argument: Any) -> None:
        """Carry out an instruction that NumPy writes a few times per array."""
        self.others += 1
        if self.others > _MOST_OTHER_INSTRUCTIONS:
            raise _Refused("more instructions than NumPy writes")
        if name in _STRINGS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            self.stack.append(self._pop(_TUPLES[name]))
        elif name in self.rare:
            self.rare[name](argument)
        else:
            raise _Refused(f"the instruction {name}")

    def _pop(self, number: int) -> tuple[Any, ...]:
        """Take items off the stack, none of them a mark."""
        start = len(self.stack) - number
        if start < 0 or _Token.MARK in self.stack[start:]:
            raise _Refused("an instruction with too few items")
        taken = tuple(self.stack[start:])
        del self.stack[start:]
        return taken

    def _strings(self, number: int) -> tuple[str, ...]:
        """Take strings off the stack."""
        taken = self._pop(number)
        if not all(isinstance(item, str) for item in taken):
            raise _Refused("a name that is not a string")
        return taken

    def _to_mark(self) -> list[Any]:
        """Take the items after the last mark, and the mark."""
        for start in range(len(self.stack) - 1, -1, -1):
            if self.stack[start] is _Token.MARK:
                taken = self.stack[start + 1 :]
                del self.stack[start:]
                return taken
        raise _Refused("an instruction without its mark")

    def _memoize(self, key: int) -> None:
        """Note the top of the stack for later reference."""
        if len(self.memo) > self.rows + _MOST_OTHER_INSTRUCTIONS:
            raise _Refused("more references than NumPy writes")
        self.memo[key] = self.stack[-1]

    def _name(self, name: str) -> None:
        """Push the token of a module and a name."""
        if name not in _NAMES:
            raise _Refused(f"the name {name[:80]!r}")
        self.stack.append(_NAMES[name])

    def _extend(self, items: list[Any]) -> None:
        """Append to the list on top of the stack: integers that are not negative, or lists."""
        target = self.stack[-1]
        if not isinstance(target, _List):
            raise _Refused("items for what is not a list")
        kinds = set(map(type, items))
        if kinds <= {int}:
            if items and not 0 <= min(items) <= max(items) < 2**31:
                raise _Refused("an integer below 0 or above 2**31 - 1")
            target.integers.extend(items)
        elif kinds == {_List}:
            target.lists.extend(items)
            if len(target.lists) > self.rows:
                raise _Refused(f"more lists than the {self.rows:,} that its header claims")
        elif kinds == {int, _List}:
            raise _Refused("lists among integers")
        else:
            other = next(item for item in items if type(item) not in (int, _List))
            raise _Refused(f"a list item that is {_shown(other)}")

    def _reduce(self) -> None:
        """Push what NumPy's three calls would give; any other call is refused."""
        call, arguments = self._pop(2)
        if call is _Token.ENCODE and arguments == ("b", "latin1"):
            self.stack.append(b"b")
        elif call is _Token.RECONSTRUCT and arguments in (
            (_Token.NDARRAY, (0,), b"b"),
            (_Token.NDARRAY, (0,), "b"),  # a string of Python 2
        ):
            self.stack.append(_Array())
        elif call is _Token.DTYPE and _is_tuple(arguments, 3) and arguments[0] in _OBJECT_DTYPES:
            self.stack.append(_Token.OBJECT_DTYPE)
        else:
            raise _Refused(f"a call of {_shown(call)} with other arguments than NumPy's")

    def _build(self) -> None:
        """Give the array its contents, or the dtype its details."""
        target, state = self._pop(2)
        if target is _Token.OBJECT_DTYPE and state == _OBJECT_DTYPE_STATE:
            pass
        elif isinstance(target, _Array) and target.rows is None and _is_tuple(state, 5):
            version, shape, dtype, fortran, rows = state
            if version != 1 or dtype is not _Token.OBJECT_DTYPE or type(fortran) is not bool:
                raise _Refused("an array that is not of objects")
            if shape != (self.rows,) or not isinstance(rows, _List) or len(rows.lists) != self.rows:
                raise _Refused(f"an array of another size than the {self.rows:,} that its header claims")
            target.rows = rows
        else:
            raise _Refused(f"details for {_shown(target)}")
        self.stack.append(target)

    def _result(self) -> list[NDArray[np.int32]]:
        """Return the lists of the one array that is left."""
        if len(self.stack) != 1 or not isinstance(self.stack[0], _Array) or self.stack[0].rows is None:
            raise _Refused("something else than one array")
        rows = self.stack[0].rows
        if rows.integers or any(row.lists for row in rows.lists):
            raise _Refused("lists inside lists, or integers outside them")
        if sum(len(row.integers) for row in rows.lists) > MAX_INTEGERS:
            raise _Refused(f"more than {MAX_INTEGERS:,} integers")
        return [np.asarray(row.integers, np.int32) for row in rows.lists]


def _is_tuple(value: Any, length: int) -> bool:
    """Whether a value is a tuple of that length."""
    return isinstance(value, tuple) and len(value) == length


def _shown(value: Any) -> str:
    """Return a few words for what the pickle holds; never the repr of something large or cyclic."""
    if isinstance(value, _Token):
        return value.value
    return {
        str: "a string",
        bytes: "bytes",
        _List: "a list",
        type(None): "None",
        int: "an integer",
        tuple: "a tuple",
        bool: "a boolean",
    }.get(type(value), "something else")
