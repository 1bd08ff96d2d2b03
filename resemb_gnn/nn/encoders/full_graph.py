"""Any PyG module as encoder."""

import inspect
from collections.abc import Collection

from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import Sequential

from resemb_gnn.errors import InputError
from resemb_gnn.graph.adjacency import graph_dtype
from resemb_gnn.nn.encoders.center_encoder import CenterEncoder, GraphBuffers, node_features
from resemb_gnn.nn.encoders.center_normalization import CenterNormalization


class FullGraphEncoder(CenterEncoder):
    r"""Any PyG module over the whole graph, :math:`w = \mathrm{softmax}(f(X, E) / \tau)`.

    Args:
        graph: co-visit graph with node features ``x`` ``[num_nodes, num_features]``.
        module: called as ``module(x, edge_index, edge_weight)``, or without the weights if its
            ``forward`` (the header of a ``torch_geometric.nn.Sequential``) has no
            ``edge_weight``; returns ``[num_nodes, num_centers]``.
        num_centers: number of centres :math:`K`.
        temperature: :math:`\tau`.
        normalize: what stands in the softmax's place.

    Raises:
        InputError: in ``forward``, if the module returns another shape.
    """

    def __init__(
        self,
        graph: Data,
        module: nn.Module,
        num_centers: int,
        temperature: float = 1.0,
        normalize: CenterNormalization | None = None,
    ) -> None:
        super().__init__(graph, num_centers, _as_it_is, normalize)
        self.temperature = temperature
        self.module = module
        self.takes_weight = "edge_weight" in _arguments(module)

    def reset_parameters(self) -> None:
        reset = getattr(self.module, "reset_parameters", None)
        if callable(reset):
            reset()

    def logits(self, ids: Tensor, fold: int | None = None) -> Tensor:
        view = self.view(fold)
        if self.takes_weight:
            logits = self.module(view.x, view.edge_index, edge_weight=view.edge_weight)
        else:
            logits = self.module(view.x, view.edge_index)
        shape = (view.x.size(0), self.num_centers)
        if logits.shape != shape:
            raise InputError(
                f"the encoder {type(self.module).__name__} returned shape {list(logits.shape)},"
                f" not [num_nodes, num_centers] = {list(shape)}"
            )
        return logits.index_select(0, ids) / self.temperature

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({type(self.module).__name__}, num_centers={self.num_centers})"
        )


def _as_it_is(graph: Data) -> GraphBuffers:
    weight = None if graph.edge_weight is None else graph.edge_weight.to(graph_dtype())
    return GraphBuffers(x=node_features(graph), edge_index=graph.edge_index, edge_weight=weight)


def _arguments(module: nn.Module) -> Collection[str]:
    if isinstance(module, Sequential):  # its forward takes anything, its header says what
        names: Collection[str] = module.signature.param_dict
        return names
    return inspect.signature(module.forward).parameters
