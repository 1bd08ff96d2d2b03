"""The theory on a world whose interests are known: radius, gap and centres of two embeddings.

A table that is free and a Res-embedding are trained alike, without early stopping, and measured:
how wide the planted interests lie, how far test log loss is from training's, and whether the
centres found the interests. One world proves nothing; `python -m benchmarks.theory` measures many.

python examples/theory.py [--users 300 --epochs 10]
"""

import argparse

import torch
from torch import nn

import resemb_gnn as rg
from resemb_gnn.theory import (
    GapCurve,
    agreement,
    center_usage,
    effective_centers,
    envelope_radius,
    main_centers,
)


def main(arguments: list[str] | None = None) -> dict[str, dict[str, float]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    world = rg.InterestDelayModel(num_users=options.users, num_items=120, num_interests=6)
    split = world.sample().split(by="last")
    graph = rg.covisit_graph(split.history, window=5, folds=5)
    table = nn.Embedding(120, 16)
    res = rg.ResEmbedding(graph, embedding_dim=16, num_centers=6, encoder="gcn")
    arms = {"nn.Embedding": table, "ResEmbedding": res}

    found: dict[str, dict[str, float]] = {}
    for name, emb in arms.items():
        model = rg.DIN(emb, attention_normalization="none")  # the paper's DIN
        curve = GapCurve(model, split.train_sample, split.test)
        rg.fit(
            model,
            split,
            epochs=options.epochs,
            patience=options.epochs,
            max_history=5,
            ema_decay=0,  # the gap of the weights themselves
            on_epoch=curve,
            progress=False,
        )
        rows = emb if isinstance(emb, nn.Embedding) else res.materialize()
        radius = envelope_radius(rows.weight.detach(), world.item_interests)
        found[name] = {"radius": radius.mean("rms"), "gap": curve.gaps[-1].logloss}
        print(
            f"{name}: rms radius {found[name]['radius']:.2f} of the items' spread,"
            f" gap after {options.epochs} epochs {found[name]['gap']:.3f} nats"
        )

    centers = agreement(main_centers(res), world.item_interests)
    used = effective_centers(center_usage(res))
    found["ResEmbedding"] |= {"nmi": centers.nmi, "effective centres": used}
    print(f"centres: {used:.1f} of 6 in use, NMI with the planted interests {centers.nmi:.2f}")
    return found


if __name__ == "__main__":
    main()
