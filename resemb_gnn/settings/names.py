"""What is known by name, and where it is defined: nothing of it is imported before it is used.

A new encoder, click model or data set is a file of its own and a line here. An encoder is a
:class:`~resemb_gnn.nn.CenterEncoder` made as ``Encoder(graph, num_centers, temperature=...,
normalize=...)``; a click model a :class:`~resemb_gnn.models.CTRModel` made as
``Model(embedding, item_category=..., features=..., widths=...)``.
"""

from pkgutil import resolve_name
from typing import Any

ENCODERS = {
    "average": "resemb_gnn.nn.encoders.average:AverageEncoder",
    "gcn": "resemb_gnn.nn.encoders.gcn:GCNEncoder",
    "gat": "resemb_gnn.nn.encoders.gat:GATEncoder",
    "sign": "resemb_gnn.nn.encoders.sign:SIGNEncoder",
}
MODELS = {
    "din": "resemb_gnn.models.din:DIN",
    "dien": "resemb_gnn.models.dien:DIEN",
    "pooled-mlp": "resemb_gnn.models.pooled_mlp:PooledMLP",
    "wide-deep": "resemb_gnn.models.wide_deep:WideDeep",
    "pnn": "resemb_gnn.models.pnn:PNN",
}

GRAPHS = ("covisit", "permuted", "permuted-with-counts")
NEGATIVES = ("uniform", "popularity")
PRECISIONS = ("float32", "bfloat16")
SPLITS = ("last", "time")
UNKNOWN = ("refuse", "skip")
FEATURE_KINDS = ("category", "numeric", "list", "vector")
CENTER_NORMALIZATIONS = ("softmax", "sparsemax", "entmax", "signed")


def find(place: str) -> Any:
    """What is defined at ``"module:name"``."""
    return resolve_name(place)
