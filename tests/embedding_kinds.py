"""Names of embeddings that tests go through one by one."""

from resemb_gnn.settings.embedding import embedding_names, split_name

# What is kept beside a map of the features is made as beside centres: where a test takes long, each
# map once is enough.
MAPS = ("mlp", "linear", "frozen", "spectral", "semantic", "semantic-prefix")
KINDS = [name for name in embedding_names() if name in MAPS or split_name(name)[0] not in MAPS]
