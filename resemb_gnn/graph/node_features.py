"""The node features that are made where a graph brings none."""

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from resemb_gnn.errors import InputError
from resemb_gnn.graph.adjacency import check_graph
from resemb_gnn.graph.count_feature import append_counts
from resemb_gnn.graph.spectral_features import SpectralFeatures


@functional_transform("node_features")
class NodeFeatures(BaseTransform):
    """Sets ``x`` to ``dim`` columns: :class:`SpectralFeatures`, and
    :class:`~resemb_gnn.graph.CountFeature` as the last one if the graph has ``count``.

    Args:
        dim: number of columns, at least 2.

    Raises:
        InputError: if ``dim`` is below 2, or the graph unusable
            (:func:`~resemb_gnn.graph.check_graph`).
    """

    def __init__(self, dim: int = 32) -> None:
        if dim < 2:
            raise InputError(f"feature_dim must be at least 2, not {dim}")
        self.dim = dim

    def forward(self, data: Data) -> Data:
        check_graph(data, ("count", "fold_graphs"))  # the rest is checked where it is used
        if data.get("count") is None:
            return SpectralFeatures(self.dim)(data)
        return append_counts(SpectralFeatures(self.dim - 1)(data))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(dim={self.dim})"
