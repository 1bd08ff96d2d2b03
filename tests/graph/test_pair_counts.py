"""The heaviest edges of an item, against a sort of every row."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from resemb_gnn.graph.pair_counts import heaviest


def sorted_rows(dense: np.ndarray, top_k: int) -> np.ndarray:
    """Each row's largest, of equal ones the first; an entry stays if either end keeps it."""
    kept = np.zeros(dense.shape, dtype=bool)
    for row, values in enumerate(dense):
        order = sorted(np.flatnonzero(values), key=lambda column: (-values[column], column))
        kept[row, order[:top_k]] = True
    return np.where(kept | kept.T, dense, 0)


@settings(deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from([1, 3, 2**24, 2**31]),  # the last take 64 bits
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_as_by_a_sort_of_every_row(
    size: int, top_k: int, most: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(1, most + 1, (size, size)) * (rng.random((size, size)) < share), 1)
    dense = (upper + upper.T).astype(np.float32)
    found = heaviest(scipy.sparse.csr_array(dense), top_k)
    assert found.dtype == np.float32
    assert found.has_sorted_indices
    np.testing.assert_array_equal(found.toarray(), sorted_rows(dense, top_k))
    assert found.nnz == np.count_nonzero(found.toarray())


@pytest.mark.parametrize("top_k", [1, 2, 5])
def test_zeros_that_stand_in_the_matrix_are_left_out(top_k: int) -> None:
    dense = np.array([[0, 2, 0, 1], [2, 0, 0, 0], [0, 0, 0, 3], [1, 0, 3, 0]], dtype=np.float32)
    places = np.nonzero(~np.eye(4, dtype=bool))
    matrix = scipy.sparse.coo_array((dense[places], places), shape=(4, 4)).tocsr()
    assert matrix.nnz == 12
    found = heaviest(matrix, top_k)
    np.testing.assert_array_equal(found.toarray(), sorted_rows(dense, top_k))
    assert found.nnz == np.count_nonzero(found.toarray())
