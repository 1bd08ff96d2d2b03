"""ResEmbedding in the DIN of torch-rechub: its table of items is replaced after it is built."""

import torch
from padding import Padded, padded
from torch import Tensor, nn
from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.models.ranking import DIN

import resemb_gnn as rg
from resemb_gnn.training import auc

DIM, WIDTH = 16, 20


def make_model(num_items: int) -> DIN:
    """The library's own model: it asks for a feature besides history and candidate, and gets the
    candidate again.
    """
    shared = {"vocab_size": num_items + 1, "embed_dim": DIM, "padding_idx": 0}
    return DIN(
        features=[SparseFeature("again", shared_with="item", **shared)],
        history_features=[
            SequenceFeature("history", pooling="concat", shared_with="item", **shared)
        ],
        target_features=[SparseFeature("item", **shared)],
        mlp_params={"dims": [32]},
        attention_mlp_params={"dims": [16]},
    )


def inputs(examples: rg.Examples) -> tuple[dict[str, Tensor], Tensor]:
    history, item, label = padded(examples, WIDTH)
    return {"history": history, "item": item, "again": item}, label


def train(model: DIN, split: rg.Split, epochs: int = 3) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    x, label = inputs(split.train)
    for _ in range(epochs):
        for index in torch.randperm(len(label)).split(256):
            part = {name: column[index] for name, column in x.items()}
            loss = nn.functional.binary_cross_entropy(model(part), label[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    x, label = inputs(split.test)
    with torch.no_grad():
        return auc(model.eval()(x), label)


def main() -> dict[str, float]:
    torch.manual_seed(0)
    log = rg.InterestDelayModel(num_users=300, num_items=120, num_interests=6).sample()
    split = log.split(by="time")
    own, ours = make_model(log.num_items), make_model(log.num_items)
    emb = rg.ResEmbedding(rg.covisit_graph(split.history), embedding_dim=DIM, num_centers=16)
    ours.embedding.embed_dict["item"] = Padded(emb)  # the swap
    found = {"its own table": train(own, split), "ResEmbedding": train(ours, split)}
    for name, value in found.items():
        print(f"torch-rechub's DIN with {name}: test AUC {value:.3f}")
    return found


if __name__ == "__main__":
    main()
