"""What is known of items as columns of numbers."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from resemb_gnn.data import Feature, FeatureTable
from resemb_gnn.data.features import FIRST
from resemb_gnn.errors import InputError
from resemb_gnn.io.frame import Frame, read_columns

MOST_COLUMNS = 32  # of a feature
MOST_VALUES = (
    4096  # of all features that are told apart: a regression inverts a square matrix of them
)
_OUTLIERS = (0.01, 0.99)  # quantiles; a number beyond them counts as they do
_TINY = 1e-6


class ContentEncoder:
    r"""Features of items as columns of numbers.

    - ``numeric``: the number, standardised; beyond the 1 % and 99 % quantiles it counts as these; 0
      where it is missing
    - ``vector``: the same, number by number
    - ``category``: a column a value, 1 where an item has it
    - ``list``: a column a value, :math:`1/\sqrt m` in a row with :math:`m` of them

    A number or vector that some known item lacks gets one column more, 1 where it is missing. A
    value that no known item has gets none, nor do others than the most frequent ones of a feature,
    4,096 over all features in equal shares.
    More than 32 columns are multiplied by a seeded matrix of random signs that leaves 32
    (Achlioptas, "Database-friendly random projections", 2003). The columns of each feature are
    centred, and scaled so that the mean square norm of the known items' rows is their number, as
    that of :class:`~resemb_gnn.SpectralFeatures` is.

    Args:
        table: the features, a row an item.
        known: which items quantiles, means, scales and values are learnt from, bool ``[n]``; all
            by default.
        state: what another encoder learnt of the same features (:meth:`state`), in place of
            learning it.

    Raises:
        InputError: if there is no feature, ``known`` has another length, or ``state`` is of other
            features.
    """

    def __init__(
        self,
        table: FeatureTable,
        known: Tensor | None = None,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        if not table.features:
            raise InputError("the table of items has no features")
        if known is not None and known.shape != (len(table),):
            raise InputError(f"known has shape {list(known.shape)}, not [{len(table)}]")
        self.table = table
        most = MOST_VALUES // max(sum(one.vocabulary is not None for one in table), 1)
        self.parts = [_Numbers() if one.vocabulary is None else _Values(most) for one in table]
        if state is not None:
            self._restore(state)
            return
        rows = torch.arange(len(table))
        if known is not None and bool(known.any()):
            rows = known.cpu().nonzero().flatten()
        for at, (part, one) in enumerate(zip(self.parts, table[rows], strict=True)):
            part.learn(one)
            part.scale_by(part.fewer(one, at))

    def _restore(self, state: Mapping[str, Tensor]) -> None:
        for at, (part, one) in enumerate(zip(self.parts, self.table, strict=True)):
            for name in part.names:
                value = state.get(f"{at}.{name}")
                if value is None or not bool(value.isfinite().all()):
                    raise InputError(f"{name} of the feature {one.name!r} is missing or not finite")
                setattr(part, name, value.numpy())
            if not part.fits(one):
                raise InputError(f"what was learnt of {one.name!r} does not fit the feature")

    def state(self) -> dict[str, Tensor]:
        """What was learnt from the known items, by number of the feature and name."""
        return {
            f"{at}.{name}": torch.from_numpy(np.array(getattr(part, name)))
            for at, part in enumerate(self.parts)
            for name in part.names
        }

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(part.mean.size for part in self.parts)

    def read(self, features: "FeatureTable | Frame") -> FeatureTable:
        """Other items' features as this table has them; what they hold beyond them is left out.

        Raises:
            InputError: if a feature is missing or of another kind or width; it names the column
                and, of values, the row.
        """
        if isinstance(features, FeatureTable):
            return self.table.recode(features)
        return self.table.encode(read_columns(features, None))

    def __call__(self, table: FeatureTable) -> Tensor:
        """The columns of items, float32 ``[n, width]``."""
        found = [
            (part.fewer(one, at) - part.mean) * part.scale
            for at, (part, one) in enumerate(zip(self.parts, table, strict=True))
        ]
        return torch.from_numpy(np.hstack(found).astype(np.float32))

    def matrix(self, table: FeatureTable) -> "scipy.sparse.csr_array":
        """The columns before they are made fewer and scaled, float64 ``[n, size]``; a vector's are
        divided by the root of its width, so that no feature's rows are much longer than another's.
        """
        found = [
            part.matrix(one) / np.sqrt(one.values.size(1) if one.kind == "vector" else 1)
            for part, one in zip(self.parts, table, strict=True)
        ]
        return scipy.sparse.csr_array(scipy.sparse.hstack(found))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.table.features)})"


class _Part:
    """The columns of one feature, and what they need to know of it, by ``names``."""

    names: tuple[str, ...]
    mean: "np.ndarray"
    scale: "np.ndarray"

    def learn(self, feature: Feature) -> None:
        """Learns from the rows of known items what :meth:`matrix` needs."""
        raise NotImplementedError

    def matrix(self, feature: Feature) -> "scipy.sparse.csr_array":
        """The columns as the feature has them, float64 ``[n, size]``."""
        raise NotImplementedError

    def fewer(self, feature: Feature, seed: int) -> "np.ndarray":
        """At most ``MOST_COLUMNS`` of them, dense."""
        matrix = self.matrix(feature)
        if matrix.shape[1] <= MOST_COLUMNS:
            return matrix.toarray()
        signs = np.random.default_rng(seed).integers(2, size=(matrix.shape[1], MOST_COLUMNS))
        found: np.ndarray = matrix @ (2.0 * signs - 1)
        return found

    def scale_by(self, found: "np.ndarray") -> None:
        """Learns centre and scale from the columns of known items."""
        self.mean = found.sum(axis=0) / max(len(found), 1)
        norm = np.square(found - self.mean).sum() / max(len(found), 1)
        self.scale = np.array(np.sqrt(found.shape[1] / norm) if norm > _TINY else 1.0)

    def fits(self, feature: Feature) -> bool:
        """Whether what was learnt elsewhere is of such a feature."""
        try:
            size = self.fewer(feature[torch.arange(0)], 0).shape[1]
        except (ValueError, IndexError, TypeError):
            return False
        return self.mean.shape == (size,) and self.scale.shape == ()


class _Numbers(_Part):
    """Of numbers: themselves."""

    names = ("low", "high", "center", "factor", "lacking", "mean", "scale")
    low: "np.ndarray"
    high: "np.ndarray"
    center: "np.ndarray"
    factor: "np.ndarray"  # 0 of a constant
    lacking: "np.ndarray"  # whether a known item has no value

    def learn(self, feature: Feature) -> None:
        missing = feature.missing().numpy()
        numbers = _numbers(feature)[~missing]
        if not len(numbers):
            numbers = np.zeros((1, numbers.shape[1]))
        self.low, self.high = np.quantile(numbers, _OUTLIERS, axis=0)
        numbers = numbers.clip(self.low, self.high)
        self.center, spread = numbers.mean(axis=0), numbers.std(axis=0)
        varies = spread > _TINY * np.abs(self.center)
        self.factor = np.where(varies, 1 / np.where(varies, spread, 1), 0)
        self.lacking = np.array(missing.any())

    def matrix(self, feature: Feature) -> "scipy.sparse.csr_array":
        missing = feature.missing().numpy()
        numbers = (_numbers(feature).clip(self.low, self.high) - self.center) * self.factor
        numbers[missing] = 0
        parts = [numbers, missing[:, None]] if self.lacking else [numbers]
        return scipy.sparse.csr_array(np.hstack(parts, dtype=np.float64))

    def fits(self, feature: Feature) -> bool:
        width = _numbers(feature).shape[1]
        own = (self.low, self.high, self.center, self.factor)
        return all(part.shape == (width,) for part in own) and super().fits(feature)


class _Values(_Part):
    """Of categories: one a value."""

    names = ("column", "mean", "scale")
    column: "np.ndarray"  # of each code; -1 for none

    def __init__(self, most: int) -> None:
        self.most = most

    def learn(self, feature: Feature) -> None:
        count = feature.values.bincount(minlength=feature.num_codes).numpy()
        count[:FIRST] = 0
        most = np.argsort(-count, kind="stable")[: self.most]
        kept = np.sort(most[count[most] > 0])
        self.column = np.full(feature.num_codes, -1)
        self.column[kept] = np.arange(kept.size)

    def matrix(self, feature: Feature) -> "scipy.sparse.csr_array":
        ptr = torch.arange(len(feature) + 1) if feature.ptr is None else feature.ptr
        row = np.repeat(np.arange(len(feature)), ptr.diff().numpy())
        # Of a value that came since, there is none.
        column = np.append(self.column, -1)[feature.values.numpy().clip(max=self.column.size)]
        row, column = row[column >= 0], column[column >= 0]
        # One column even where no value is known: a matrix has some.
        shape = (len(feature), max(int(self.column.max(initial=0)) + 1, 1))
        found = scipy.sparse.csr_array((np.ones(row.size), (row, column)), shape=shape)
        number = np.diff(found.indptr)
        found.data[:] = np.repeat(1 / np.sqrt(number.clip(min=1)), number)
        return found

    def fits(self, feature: Feature) -> bool:
        own = self.column
        whole = own.dtype == np.int64 and own.ndim == 1
        return (
            whole
            and feature.num_fitted_codes <= own.size <= feature.num_codes
            and super().fits(feature)
        )


def _numbers(feature: Feature) -> "np.ndarray":
    """The numbers of a ``numeric`` or ``vector``, float64 ``[n, width]``."""
    numbers = feature.values if feature.values.dim() == 2 else feature.values.unsqueeze(1)
    found: np.ndarray = numbers.double().numpy()
    return found
