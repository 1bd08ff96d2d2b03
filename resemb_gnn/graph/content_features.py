"""What is known of items as node features."""

import copy

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from resemb_gnn.data import FeatureTable
from resemb_gnn.errors import InputError
from resemb_gnn.graph.adjacency import check_graph, graph_dtype, has_edges
from resemb_gnn.graph.content_encoder import ContentEncoder
from resemb_gnn.graph.content_regression import ContentRegression
from resemb_gnn.graph.count_feature import count_columns
from resemb_gnn.graph.fold_graphs import with_attribute


@functional_transform("content_features")
class ContentFeatures(BaseTransform):
    """Appends the features of items to the node features ``x``, as columns of numbers
    (:class:`~resemb_gnn.graph.ContentEncoder`), so that an item without co-visits has a place, too.

    An item without edges has no neighbourhood: its row, but for the column of
    :class:`~resemb_gnn.CountFeature`, becomes what its features say of the one that it would have
    (:class:`~resemb_gnn.graph.ContentRegression`). Each of ``fold_graphs`` gets the same columns,
    and its lonely items what its own regression says.

    Scales and values are learnt from items with a ``count`` above 0, if the graph has counts. The
    encoder stays with the graph as ``content``, by which new items' features are encoded alike
    (:class:`~resemb_gnn.graph.FeatureExtension`).

    Args:
        table: the features, a row a node, such as ``log.features.items``.
        append: ``False`` to append no columns: ``x`` stays as wide as it is, and the features speak
            for items without edges alone.

    Raises:
        InputError: if the table has no features or another number of rows than the graph has nodes,
            the graph is unusable (:func:`~resemb_gnn.graph.check_graph`), or it has no ``x`` and
            nothing is to be appended.
    """

    def __init__(self, table: FeatureTable, append: bool = True) -> None:
        self.table = table
        self.append = append

    def forward(self, data: Data) -> Data:
        check_graph(data, ("edge_index", "x", "count", "fold_graphs"))
        if len(self.table) != data.num_nodes:
            raise InputError(
                f"the features are of {len(self.table)} items, but the graph has {data.num_nodes}"
                " nodes"
            )
        if data.x is None and not self.append:
            raise InputError("append=False leaves the graph without node features: x is None")
        count = data.get("count")
        encoder = ContentEncoder(self.table, None if count is None else count > 0)
        columns = encoder(self.table) if self.append else torch.empty(len(self.table), 0)
        if "fold_graphs" in data:  # the input keeps its own
            parts = (copy.copy(part) for part in data.fold_graphs)  # one at a time
            x = [_appended(part, encoder, columns).x for part in parts]
            data.fold_graphs = with_attribute(data.fold_graphs, "x", x)
        data.content = encoder
        return _appended(data, encoder, columns)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.table.features)})"


def _appended(data: Data, encoder: ContentEncoder, columns: Tensor) -> Data:
    if data.x is None:
        data.x = columns
    else:
        x = data.x.to(graph_dtype())
        data.x = torch.cat([x, columns.to(x)], dim=1)
    rows = (~has_edges(data)).nonzero().flatten()
    if not 0 < rows.numel() < len(data.x):
        return data
    found = ContentRegression(encoder, data)(encoder.table[rows]).to(data.x)
    told = torch.from_numpy(count_columns(data)).to(data.x.device)
    rows = rows.to(data.x.device)
    data.x = data.x.index_copy(0, rows, torch.where(told, data.x[rows], found))
    return data
