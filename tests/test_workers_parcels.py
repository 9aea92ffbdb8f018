import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from rnncli.workers.parcels import UNIT, Outgoing, unpack

array = arrays_of.arrays(
    st.sampled_from(["<f4", ">f8", "<i8", "|u1", "|b1", "<c8", "<U3", "<M8[s]"]),
    arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@given(st.lists(st.lists(array, max_size=4), min_size=1, max_size=4), st.booleans())
def test_what_is_packed_comes_out(parcels, transposed):
    if transposed:
        parcels = [[array.T for array in parcel] for parcel in parcels]
    memory, starts, sizes = Outgoing().pack(parcels)
    for parcel, start, size in zip(parcels, starts, sizes, strict=True):
        unpacked = unpack(memory[start * UNIT : (start + size) * UNIT])
        assert [(a.dtype, a.shape, a.tobytes()) for a in unpacked] == [(a.dtype, a.shape, a.tobytes()) for a in parcel]
        assert all(a.flags.aligned for a in unpacked)


def test_parcels_do_not_overlap():
    _, starts, sizes = Outgoing().pack([[np.ones(100)], [], [np.ones(3), np.ones(0)]])
    assert (starts[1:] == (starts + sizes)[:-1]).all()
    assert (sizes > 0).all()


def test_a_parcel_for_all_is_laid_out_once():
    parcel = [np.arange(10_000)]
    memory, starts, sizes = Outgoing().pack([parcel] * 50)
    assert len(set(starts.tolist())) == len(set(sizes.tolist())) == 1
    assert memory.nbytes < 2 * parcel[0].nbytes


def test_memory_is_used_again():
    outgoing = Outgoing()
    first, *_ = outgoing.pack([[np.zeros(5000)]])
    second, *_ = outgoing.pack([[np.ones(4000)]])
    assert second is first


def test_what_is_unpacked_cannot_be_changed_but_its_memory_can():
    memory, _, _ = Outgoing().pack([[np.zeros(3)]])
    (array,) = unpack(memory)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    memory[:] = 0


@pytest.mark.parametrize("array", [np.array([{}], object), np.zeros(2, [("a", "f4")])], ids=["objects", "records"])
def test_what_cannot_be_sent_is_refused(array):
    with pytest.raises(TypeError, match="cannot be sent"):
        Outgoing().pack([[array]])
