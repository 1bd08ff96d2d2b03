"""Your own log, from a table to served vectors: read, split, graph, train, look, export.

python examples/own_log.py [--data log.csv --user user_id --item item_id --time ts]
"""

import argparse
import tempfile
from pathlib import Path

import polars as pl
import torch

import resemb_gnn as rg
from resemb_gnn.serving import ItemIndex, export_embeddings


def synthetic_table(path: Path) -> None:
    """A log as a shop has it: one row a behaviour, with ids and times of its own."""
    log = rg.InterestDelayModel(num_users=300, num_items=120, num_interests=6).sample()
    clicks = log.labels == 1
    pl.DataFrame(
        {
            "user_id": log.user_ids.gather(log.users[clicks].numpy()),
            "item_id": log.item_ids.gather(log.items[clicks].numpy()),
            "ts": log.times[clicks].numpy(),
        }
    ).write_csv(path)


def main(arguments: list[str] | None = None) -> dict[str, object]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="table; a synthetic one if not given")
    for name, default in (("user", "user_id"), ("item", "item_id"), ("time", "ts")):
        parser.add_argument(f"--{name}", default=default, help=f"column (default: {default})")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="own-log-"))
    if options.data is None:
        options.data = folder / "log.csv"
        synthetic_table(options.data)

    log = rg.BehaviorLog.from_frame(options.data, options.user, options.item, options.time)
    print(f"{log.num_users} users, {log.num_items} items, {len(log.items)} behaviours")
    split = log.split(by="last")
    graph = rg.covisit_graph(split.history, window=5, folds=5)

    torch.manual_seed(0)
    emb = rg.ResEmbedding(graph, embedding_dim=16, num_centers=16)
    result = rg.fit(rg.DIN(emb), split, epochs=options.epochs, batch_size=256, progress=False)
    print(f"test AUC {result.test.auc:.3f}, generalisation gap {result.gap:.3f} nats")

    popular = int(log.items.bincount().argmax())
    weights, centers = emb.center_weights(torch.tensor([popular]))[0].topk(3)
    item = log.item_ids[popular]
    mix = ", ".join(f"{w:.2f} of centre {c}" for w, c in zip(weights, centers, strict=True))
    print(f"the most popular item, {item}: {mix}")

    export_embeddings(emb, log.item_ids, folder / "served", index=False)
    similar = ItemIndex.load(folder / "served", exact=True).similar(item, k=5)
    print(f"most similar to it (vectors in {folder / 'served'}):\n{similar}")
    return {"auc": result.test.auc, "similar": similar, "served": folder / "served"}


if __name__ == "__main__":
    main()
