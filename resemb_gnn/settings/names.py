"""What is known by name, and where it is defined: nothing of it is imported before it is used.

A new encoder, click model or data set is a file of its own and a line here. An encoder is a
:class:`~resemb_gnn.nn.CenterEncoder` made as ``Encoder(graph, num_centers, temperature=...,
normalize=...)``; a click model a :class:`~resemb_gnn.models.CTRModel` made as
``Model(embedding, item_category=..., features=..., widths=..., embed=...)``; a data set a function
that returns a :class:`~resemb_gnn.datasets.DataSource`, given the place of its files if it has one.
"""

from pkgutil import resolve_name
from typing import Any

ENCODERS = {
    "average": "resemb_gnn.nn.encoders.average:AverageEncoder",
    "gcn": "resemb_gnn.nn.encoders.gcn:GCNEncoder",
    "gat": "resemb_gnn.nn.encoders.gat:GATEncoder",
    "sign": "resemb_gnn.nn.encoders.sign:SIGNEncoder",
}
MODELS: dict[str, Any] = {  # a click model of one's own is here itself, for a while
    "din": "resemb_gnn.models.din:DIN",
    "dien": "resemb_gnn.models.dien:DIEN",
    "pooled-mlp": "resemb_gnn.models.pooled_mlp:PooledMLP",
    "wide-deep": "resemb_gnn.models.wide_deep:WideDeep",
    "pnn": "resemb_gnn.models.pnn:PNN",
    "sasrec": "resemb_gnn.models.sasrec:SASRec",
}
NAMED = {"complete-journey": "resemb_gnn.datasets.complete_journey:source"}
PLACED = {  # with the folder or file that holds them, as NAME:FOLDER
    "amazon": "resemb_gnn.datasets.amazon_reviews:source",
    "amazon-electronics-x1": "resemb_gnn.datasets.amazon_electronics_x1:source",
    "kuairand": "resemb_gnn.datasets.kuairand_trimmed:source",
    "movielens-100k": "resemb_gnn.datasets.pyg:movielens_100k",
    "movielens-1m": "resemb_gnn.datasets.pyg:movielens_1m",
    "s3rec": "resemb_gnn.datasets.s3rec:source",
    "taobao": "resemb_gnn.datasets.pyg:taobao",
}

GRAPHS = ("covisit", "permuted", "permuted-with-counts")
NEGATIVES = ("uniform", "popularity")
PRECISIONS = ("float32", "bfloat16")
SPLITS = ("last", "time")
UNKNOWN = ("refuse", "skip", "score")
FEATURE_KINDS = ("category", "numeric", "list", "vector")
ATTENTION_NORMALIZATIONS = ("none", "softmax")
CENTER_NORMALIZATIONS = ("softmax", "sparsemax", "entmax", "relu", "signed")


def find(place: Any) -> Any:
    """What is defined at ``"module:name"``; what is no text stands for itself."""
    return resolve_name(place) if isinstance(place, str) else place
