"""What every exchange must do: run each of these on all ranks of one, and it raises nothing.

All ranks know what the others send, as it is drawn from a seed.
"""

import hashlib
import math
import time
from collections.abc import Callable

import numpy as np

from rnncli.workers.exchange import Anything, Exchange

TYPES = ("float32", "float64", "int64", "int32", "uint8", "bool", "complex64", "<U5", ">i2", "float16")
SHAPES = ((), (1,), (0,), (3,), (7, 5), (0, 4), (2, 0, 3), (1, 1, 1, 3), (13, 17), (1001,))


def told(exchange: Exchange, message: dict) -> dict:
    """Broadcast a message that every rank of a test knows; only rank 0 says it."""
    return exchange.broadcast(message if exchange.rank == 0 else None)


def placed(exchange: Exchange, arrays: dict[str, Anything]) -> dict[str, Anything]:
    return exchange.place(arrays if exchange.rank == 0 else None)


def drawn(*seed: int, kind: str, shape: tuple[int, ...]) -> Anything:
    """Return an array whose bytes nobody would guess."""
    values = np.random.default_rng(seed).integers(-1000, 1000, shape)
    return np.asarray(values).astype(kind)


def same(a: Anything, b: Anything) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def digest(arrays: list[Anything]) -> float:
    """Return a number that all_gather can carry, of the arrays' bytes."""
    return float(int(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()[:12], 16))


def exchanged(exchange: Exchange, parcel_of: Callable[[int, int], list[Anything]]) -> list[list[Anything]]:
    """Exchange parcels and compare what comes with what each rank sends; ``parcel_of`` tells it of sender, receiver."""
    received = exchange.all_to_all([parcel_of(exchange.rank, other) for other in range(exchange.size)])
    assert len(received) == exchange.size
    for sender, parcel in enumerate(received):
        expected = parcel_of(sender, exchange.rank)
        assert len(parcel) == len(expected)
        for array, known in zip(parcel, expected, strict=True):
            assert same(array, known), (sender, exchange.rank, array.dtype, array.shape, known.dtype, known.shape)
    return received


def ranks_are_numbered(exchange: Exchange) -> None:
    assert 0 <= exchange.rank < exchange.size
    assert exchange.all_gather([exchange.rank]) == [[float(rank)] for rank in range(exchange.size)]


def broadcast_gives_the_message(exchange: Exchange) -> None:
    message = {
        "do": "step",
        "rows": list(range(64)),
        "lr": 0.1 + 0.2,
        "least": 5e-324,
        "big": 2**62 + 1,
        "nested": {"none": None, "yes": True, "empty": {}, "list": [[], [1.5, "x"]]},
        "text": "smörgås \u2028 \U0001f40d \x00 \n",
    }
    assert told(exchange, message) == message
    assert told(exchange, {}) == {}


def broadcast_gives_messages_of_any_length_in_order(exchange: Exchange) -> None:
    for length in (0, 1, 4060, *range(4070, 4100), 100_000, 3_000_000, 2):
        assert told(exchange, {"text": "x" * length}) == {"text": "x" * length}


def place_gives_the_arrays(exchange: Exchange) -> None:
    arrays = {
        f"{kind} {shape}": drawn(number, kind=kind, shape=shape)
        for number, (kind, shape) in enumerate((kind, shape) for kind in TYPES for shape in SHAPES)
    }
    arrays["fortran"] = np.asfortranarray(drawn(1, kind="float32", shape=(5, 7)))
    arrays["strided"] = drawn(2, kind="float32", shape=(40, 6))[::3, 1::2]
    arrays["rnn0.fwd.Wx é"] = drawn(3, kind="float32", shape=(1200, 1000))
    copies = placed(exchange, arrays)
    assert list(copies) == list(arrays)
    for name, copy in copies.items():
        assert same(copy, arrays[name]), name
        assert copy.flags.c_contiguous or exchange.size == 1, name
    assert placed(exchange, {}) == {}


def placed_arrays_may_be_changed(exchange: Exchange) -> None:
    rank, size = exchange.rank, exchange.size
    source = np.zeros((size, 3), np.float32)
    source.flags.writeable = size == 1  # as if from a file that is mapped into memory
    kept = placed(exchange, {"w": source})["w"]
    kept[rank] = 1 + rank
    exchange.all_gather([])
    expected = np.zeros((size, 3), np.float32)
    for other in range(size) if exchange.shares_memory else [rank]:
        expected[other] = 1 + other
    assert same(kept, expected)
    exchange.all_gather([])
    # It is the rank's to keep: what is placed later goes elsewhere.
    placed(exchange, {"w": np.full((size, 3), 9, np.float32)})
    assert same(kept, expected)


def all_gather_is_exact_and_in_order(exchange: Exchange) -> None:
    def numbers(rank: int) -> list[float]:
        return [math.pi * (rank + 1), 0.1, 5e-324, -0.0, math.inf, -1e308, rank / 3, 2.0**53 - rank]

    for gathered, rank in zip(exchange.all_gather(numbers(exchange.rank)), range(exchange.size), strict=True):
        assert [number.hex() for number in gathered] == [float(number).hex() for number in numbers(rank)]
        assert all(type(number) is float for number in gathered)
    assert all(math.isnan(number) for (number,) in exchange.all_gather([math.nan]))
    many = [[float(rank * 1000 + i) for i in range(999)] for rank in range(exchange.size)]
    assert exchange.all_gather(many[exchange.rank]) == many
    assert exchange.all_gather([]) == [[] for _ in range(exchange.size)]


def all_gather_takes_numbers_of_numpy(exchange: Exchange) -> None:
    mine = [np.float32(0.1), np.int64(exchange.rank), np.float64(0.1)]
    assert exchange.all_gather(mine) == [[float(np.float32(0.1)), rank, 0.1] for rank in range(exchange.size)]


def all_gather_lets_nobody_go_before_all_have_come(exchange: Exchange) -> None:
    for late in range(exchange.size):
        for numbers in ([], [1.0]):
            if exchange.rank == late:
                time.sleep(0.02)
            came = time.monotonic()  # one clock for all processes of a machine
            exchange.all_gather(numbers)
            went = time.monotonic()
            times = exchange.all_gather([came, went])
            assert min(went for _, went in times) >= max(came for came, _ in times)


def all_to_all_gives_every_shape_and_type(exchange: Exchange) -> None:
    def parcel_of(sender: int, receiver: int) -> list[Anything]:
        return [
            drawn(sender, receiver, number, kind=kind, shape=shape)
            for number, (kind, shape) in enumerate((kind, shape) for kind in TYPES for shape in SHAPES)
        ]

    for parcel in exchanged(exchange, parcel_of):
        assert all(array.flags.aligned for array in parcel)


def all_to_all_takes_parcels_of_unequal_size(exchange: Exchange) -> None:
    def parcel_of(sender: int, receiver: int) -> list[Anything]:
        count = (2 * sender + 3 * receiver) % 4  # for some pairs nothing
        return [drawn(sender, receiver, i, kind="float32", shape=(sender * 50 + i, receiver + 1)) for i in range(count)]

    exchanged(exchange, parcel_of)
    exchanged(exchange, lambda sender, receiver: [])
    exchanged(exchange, lambda sender, receiver: [np.arange(5)] if (sender, receiver) == (0, exchange.size - 1) else [])


def all_to_all_takes_arrays_that_are_not_in_one_piece(exchange: Exchange) -> None:
    def parcel_of(sender: int, receiver: int) -> list[Anything]:
        whole = drawn(sender, receiver, kind="float32", shape=(40, 30))
        return [whole[::7, 3::4], whole.T, whole[::-1], np.broadcast_to(whole[0], (6, 30)), whole[3, 4]]

    exchanged(exchange, parcel_of)


def all_to_all_takes_the_same_parcel_for_all(exchange: Exchange) -> None:
    mine = [drawn(exchange.rank, kind="float32", shape=(11, 3))]
    for sender, parcel in enumerate(exchange.all_to_all([mine] * exchange.size)):
        assert same(parcel[0], drawn(sender, kind="float32", shape=(11, 3)))


def all_to_all_gives_large_arrays(exchange: Exchange) -> None:
    def parcel_of(sender: int, receiver: int) -> list[Anything]:
        size = 1_500_000 + 1000 * sender + receiver
        return [drawn(sender, receiver, kind="float32", shape=(size,)), np.arange(sender, 70_001)]

    exchanged(exchange, parcel_of)
    exchanged(exchange, lambda sender, receiver: [np.float64(sender - receiver).reshape(1)])  # small ones after that
    exchanged(exchange, parcel_of)


def what_was_sent_may_be_changed_at_once(exchange: Exchange) -> None:
    for turn in range(20):
        mine = [np.full(5000, 100 * turn + exchange.rank, np.int64) for _ in range(exchange.size)]
        received = exchange.all_to_all([[array] for array in mine])
        if exchange.size > 1:
            for array in mine:
                array[:] = -1
        for sender, (array,) in enumerate(received):
            assert (array == 100 * turn + sender).all()


def what_came_is_there_until_the_next_call(exchange: Exchange) -> None:
    # Ranks that are ahead must not write over what one that is behind still reads.
    for turn in range(12):
        received = exchange.all_to_all(
            [[np.full(3000 * (turn + 1), turn * 10 + exchange.rank, np.int64)] for _ in range(exchange.size)]
        )
        if turn % exchange.size == exchange.rank:
            time.sleep(0.01)
        for sender, (array,) in enumerate(received):
            assert (array == turn * 10 + sender).all()


def sums_in_the_order_of_ranks_are_the_same_bits_everywhere(exchange: Exchange) -> None:
    def gradient(rank: int) -> Anything:
        return np.random.default_rng(rank).normal(0, 10.0 ** (rank % 5), 10_007).astype(np.float32)

    received = exchange.all_to_all([[gradient(exchange.rank)]] * exchange.size)
    total = received[0][0].copy()
    for parcel in received[1:]:
        total += parcel[0]
    expected = gradient(0)
    for rank in range(1, exchange.size):
        expected = expected + gradient(rank)
    assert same(total, expected)
    assert len({tuple(row) for row in exchange.all_gather([digest([total])])}) == 1


def any_calls_in_any_order(exchange: Exchange) -> None:
    rng = np.random.default_rng(7)  # all ranks draw the same calls
    for turn in range(150):
        call, length = rng.integers(4), int(rng.integers(0, 3000))
        if call == 0:
            assert told(exchange, {"turn": turn, "text": "y" * length})["turn"] == turn
        elif call == 1:
            array = drawn(turn, kind="int32", shape=(length,))
            assert same(placed(exchange, {"a": array})["a"], array)
        elif call == 2:
            mine = [turn * 1000.0 + exchange.rank] * (length % 13)
            expected = [[turn * 1000.0 + rank] * (length % 13) for rank in range(exchange.size)]
            assert exchange.all_gather(mine) == expected
        else:
            counts = rng.integers(0, 4, (exchange.size, exchange.size))

            def parcel_of(sender: int, receiver: int, turn=turn, length=length, counts=counts) -> list[Anything]:
                shape = (length * (1 + sender) // (1 + receiver),)
                count = counts[sender, receiver]
                return [drawn(turn, sender, receiver, kind=TYPES[i], shape=shape) for i in range(count)]

            exchanged(exchange, parcel_of)


CHECKS: dict[str, Callable[[Exchange], None]] = {
    check.__name__: check
    for check in (
        ranks_are_numbered,
        broadcast_gives_the_message,
        broadcast_gives_messages_of_any_length_in_order,
        place_gives_the_arrays,
        placed_arrays_may_be_changed,
        all_gather_is_exact_and_in_order,
        all_gather_takes_numbers_of_numpy,
        all_gather_lets_nobody_go_before_all_have_come,
        all_to_all_gives_every_shape_and_type,
        all_to_all_takes_parcels_of_unequal_size,
        all_to_all_takes_arrays_that_are_not_in_one_piece,
        all_to_all_takes_the_same_parcel_for_all,
        all_to_all_gives_large_arrays,
        what_was_sent_may_be_changed_at_once,
        what_came_is_there_until_the_next_call,
        sums_in_the_order_of_ranks_are_the_same_bits_everywhere,
        any_calls_in_any_order,
    )
}
