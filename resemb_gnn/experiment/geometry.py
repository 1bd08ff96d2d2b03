"""A picture in two dimensions of items around their centres, computed from a trained embedding."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resemb_gnn.errors import InputError, brief
from resemb_gnn.io.atomic import publish, temporary_file
from resemb_gnn.io.paths import expanded
from resemb_gnn.nn import ResEmbedding
from resemb_gnn.theory import center_usage, effective_centers, main_centers


@dataclass(frozen=True, eq=False)
class ItemGeometry:
    r"""Items and centres, projected to the first two principal axes of the drawn items' embeddings.

    The projection is linear, so the arrow from ``central[i]`` to ``embedding[i]`` is that of the
    residual.

    Args:
        items: the items drawn, int64 ``[n]``.
        most_visited: whether they are the most visited ones, or drawn at random; bool ``[]``.
        embedding: their embeddings :math:`e_i`, float32 ``[n, 2]``.
        central: their central parts :math:`\sum_k w_{ik} c_k`, float32 ``[n, 2]``.
        main_center: the centre of each with the largest weight, int64 ``[n]``.
        centers: all centres :math:`c_k`, float32 ``[num_centers, 2]``.
        usage: mean weight :math:`\frac{1}{N} \sum_i w_{ik}` of each centre over all :math:`N`
            items, float32 ``[num_centers]``; sums to 1.
        explained: share of the drawn embeddings' variance along each axis, float32 ``[2]``.
        num_items: number of all items :math:`N`, int64 ``[]``.
    """

    items: NDArray[np.int64]
    most_visited: NDArray[np.bool_]
    embedding: NDArray[np.float32]
    central: NDArray[np.float32]
    main_center: NDArray[np.int64]
    centers: NDArray[np.float32]
    usage: NDArray[np.float64]
    explained: NDArray[np.float32]
    num_items: NDArray[np.int64]

    @property
    def center_per_item(self) -> bool:
        """Whether there is one centre an item (``average`` with ``num_centers=None``)."""
        return len(self.centers) == int(self.num_items)

    @property
    def effective_centers(self) -> float:
        """Perplexity of the centre usage: :func:`~resemb_gnn.theory.effective_centers`."""
        return effective_centers(torch.from_numpy(self.usage))

    def save(self, path: str | Path) -> None:
        """Writes a NumPy archive (``.npz``), whole or not at all."""
        place = expanded(path)
        with temporary_file(place.parent, place.name) as file:
            np.savez_compressed(file, allow_pickle=False, **vars(self))
            publish(file, place)

    @classmethod
    def load(cls, path: str | Path) -> "ItemGeometry":
        """Reads what :meth:`save` wrote; no pickle is loaded.

        Raises:
            InputError: if the file is missing, damaged or lacks an array.
        """
        try:
            with np.load(expanded(path), allow_pickle=False) as archive:
                geometry = cls(**{field.name: archive[field.name] for field in fields(cls)})
        except Exception as error:  # NumPy and zipfile raise what they like on damaged archives
            raise InputError(f"{path} is not an item geometry: {brief(error)}") from error
        wrong = geometry._wrong_part()
        if wrong is not None:
            raise InputError(f"{path} is not an item geometry: {wrong}")
        return geometry

    def _wrong_part(self) -> str | None:
        drawn, centers = self.items.shape[:1], self.usage.shape[:1]
        shapes = {"items": drawn, "most_visited": (), "embedding": (*drawn, 2)}
        shapes |= {"central": (*drawn, 2), "main_center": drawn, "centers": (*centers, 2)}
        shapes |= {"usage": centers, "explained": (2,), "num_items": ()}
        kinds = {"items": "i", "main_center": "i", "num_items": "i", "most_visited": "b"}
        for name, shape in shapes.items():
            part = getattr(self, name)
            if part.shape != shape or part.dtype.kind != kinds.get(name, "f"):
                return f"{name} is {part.dtype} {list(part.shape)}"
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                return f"{name} holds a value that is not finite"
        for name, end in (("items", int(self.num_items)), ("main_center", self.usage.size)):
            part = getattr(self, name)
            if part.size and not 0 <= part.min() <= part.max() < end:
                return f"{name} must lie in 0..{end - 1}"
        return None


@torch.no_grad()
def item_geometry(
    embedding: ResEmbedding, max_items: int = 800, seed: int = 0, *, count: Tensor | None = None
) -> ItemGeometry:
    """Projects the most visited items and all centres to two dimensions.

    Rarely visited items hardly move from where training found them, and hide the rest.

    Args:
        embedding: a trained embedding.
        max_items: how many items to draw at most.
        seed: seed of the draw, where it is a random one.
        count: behaviours of each item, ``[num_items]``. Without them the scale of the residuals
            tells their order (it grows with the count); without shrinkage items are drawn at
            random.

    Raises:
        InputError: if ``max_items`` is below 1, ``count`` has another length than the embedding,
            or the embedding holds values that are not finite.
    """
    if max_items < 1:
        raise InputError(f"max_items must be at least 1, not {max_items}")
    size = embedding.num_embeddings
    if count is not None and count.shape != (size,):
        raise InputError(f"count has shape {list(count.shape)}, but the embedding {size} items")
    if count is None and embedding.residual_scale is not None:
        count = embedding.residual_scale.flatten()
    if count is not None:
        order = np.argsort(-count.cpu().numpy(), kind="stable")
    else:
        order = np.random.default_rng(seed).permutation(size)
    ids = torch.from_numpy(np.sort(order[:max_items])).to(embedding.residual.device)
    rows, central = embedding(ids), embedding.center_part(ids)
    if not (rows.isfinite().all() and embedding.centers.isfinite().all()):
        raise InputError("the embedding holds values that are not finite")
    mean, axes, explained = _principal_axes(rows.cpu().numpy())

    def project(points: Tensor) -> NDArray[np.float32]:
        flat: NDArray[np.float32] = (points.cpu().numpy() - mean) @ axes.T
        return flat

    return ItemGeometry(
        items=ids.cpu().numpy(),
        most_visited=np.array(count is not None),
        embedding=project(rows),
        central=project(central),
        main_center=main_centers(embedding)[ids.cpu()].numpy(),
        centers=project(embedding.centers),
        usage=center_usage(embedding).numpy(),
        explained=explained,
        num_items=np.array(size),
    )


def _principal_axes(
    table: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Mean ``[dim]``, first two axes ``[2, dim]`` and their share of the variance ``[2]``."""
    axes = np.zeros((2, table.shape[1]), dtype=np.float32)
    explained = np.zeros(2, dtype=np.float32)
    mean = table.mean(axis=0)
    if (table == table[0]).all():  # no variance, no axes
        return mean, axes, explained
    from sklearn.decomposition import PCA  # takes a second to import

    pca = PCA(min(2, *table.shape), svd_solver="full").fit(table)
    found = len(pca.components_)
    axes[:found] = pca.components_
    explained[:found] = pca.explained_variance_ratio_
    return mean, axes, explained
