"""Item embeddings: Res-embedding and the tables that it is compared to."""
