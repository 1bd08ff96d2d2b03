"""The best items, next to what ``predict`` says of every pair."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from torch import nn

import resemb_gnn as rg
from resemb_gnn import InputError
from resemb_gnn.settings.names import MODELS
from tests.shop import COLUMNS, CONTEXT, shop_settings, write_shop


def brute_force(
    trained: rg.TrainedModel,
    users: Sequence[Any],
    items: Sequence[Any],
    include_seen: bool = False,
    context: dict[str, Any] | None = None,
) -> dict[Any, list[tuple[Any, float]]]:
    """All items of each user with their scores, best first."""
    pairs = [(user, item) for user in users for item in items]
    rows = None if context is None else pl.DataFrame([context] * len(pairs))
    scores = trained.predict(*(list(ids) for ids in zip(*pairs, strict=True)), context=rows)
    found: dict[Any, list[tuple[Any, float]]] = {user: [] for user in users}
    histories = trained.histories
    for (user, item), score in zip(pairs, scores, strict=True):
        number = histories.user_ids.index_of(user)
        seen = histories.items[histories.ptr[number] : histories.ptr[number + 1]]
        if include_seen or trained.item_ids.index_of(item) not in seen.tolist():
            found[user].append((item, score))
    return {user: sorted(own, key=lambda one: -one[1]) for user, own in found.items()}


def check(found: pl.DataFrame, expected: dict[Any, list[tuple[Any, float]]], k: int) -> None:
    """The best ``k``, but for neighbours whose scores are the same up to rounding."""
    assert found.columns == ["user", "rank", "item", "score"]
    assert found["user"].unique(maintain_order=True).to_list() == [
        user for user, own in expected.items() if own
    ]
    for (user,), own in found.group_by("user", maintain_order=True):
        best = expected[user][:k]
        assert own["rank"].to_list() == list(range(1, len(best) + 1))
        assert own["item"].n_unique() == len(best)
        score = dict(expected[user])
        np.testing.assert_allclose(own["score"], [one for _, one in best], rtol=1e-5)
        np.testing.assert_allclose(own["score"], [score[item] for item in own["item"]], rtol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_by_brute_force(model: str, train_on: Callable[..., rg.TrainedModel]) -> None:
    trained = train_on(model=model, embedding="plain")
    users = trained.histories.user_ids[::6]
    check(trained.recommend(users, 7), brute_force(trained, users, trained.item_ids), 7)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), k=st.integers(1, 45), include_seen=st.booleans())
def test_some_users_and_candidates(
    trained: rg.TrainedModel, data: st.DataObject, k: int, include_seen: bool
) -> None:
    users, items = (
        data.draw(st.lists(st.sampled_from(ids.to_list()), min_size=1, max_size=6))
        for ids in (trained.histories.user_ids, trained.item_ids)
    )
    found = trained.recommend(users, k, candidates=items, include_seen=include_seen)
    users, items = (list(dict.fromkeys(ids)) for ids in (users, items))
    check(found, brute_force(trained, users, items, include_seen), k)


def test_equal_scores_stand_in_the_order_of_the_items(trained: rg.TrainedModel) -> None:
    model = copy.deepcopy(trained.model)
    assert isinstance(model, rg.DIN)
    nn.init.zeros_(model.mlp[-1].weight)  # type: ignore[arg-type]
    found = replace(trained, model=model).recommend(["u07"], 40)
    user = trained.histories.user_ids.index_of("u07")
    assert user is not None
    seen = set(trained.histories.of_user(user).tolist())
    others = [item for number, item in enumerate(trained.item_ids) if number not in seen]
    assert found["item"].to_list() == others
    assert found["score"].n_unique() == 1


def test_a_model_that_was_left_training(trained: rg.TrainedModel) -> None:
    other = replace(trained, model=copy.deepcopy(trained.model).train())
    users = trained.histories.user_ids[:3]
    assert_frame_equal(other.recommend(users, 4), trained.recommend(users, 4))
    assert_frame_equal(other.similar(trained.item_ids[3]), trained.similar(trained.item_ids[3]))
    assert other.model.training


def test_a_user_without_a_history(trained: rg.TrainedModel) -> None:
    old = trained.histories
    histories = replace(
        old,
        user_ids=pl.concat([old.user_ids, pl.Series(["new"])]),
        ptr=torch.cat([old.ptr, old.ptr[-1:]]),
    )
    trained = replace(trained, histories=histories)
    expected = brute_force(trained, ["new", "u03"], trained.item_ids)
    assert len(expected["new"]) == 40
    check(trained.recommend(["new", "u03"], 5), expected, 5)


def test_candidates_that_are_retrieved(trained: rg.TrainedModel) -> None:
    """Of few items each is an anchor, so that the rough scores are the exact ones."""
    users = trained.histories.user_ids[:5]
    exact = trained.recommend(users, 4)
    assert_frame_equal(trained.recommend(users, 4, retrieve=4), exact, rel_tol=1e-5)
    some = trained.item_ids[::3]
    found = trained.recommend(users, 2, candidates=some, retrieve=5)
    assert_frame_equal(found, trained.recommend(users, 2, candidates=some), rel_tol=1e-5)


def test_everybody_is_answered_where_nobody_is_named(trained: rg.TrainedModel) -> None:
    found = trained.recommend(k=1)
    assert found["user"].to_list() == trained.histories.user_ids.to_list()


def test_features_and_one_context_for_all(tmp_path: Path) -> None:
    write_shop(tmp_path)
    small = {"epochs": 1, "quiet": True, "embedding_dim": 4, "embedding": "plain"}
    trained = rg.train(**small | shop_settings(tmp_path))
    context = dict(pl.read_csv(tmp_path / "log.csv").select(CONTEXT).row(5, named=True))
    users = trained.histories.user_ids[:4]
    expected = brute_force(trained, users, trained.item_ids, context=context)
    check(trained.recommend(users, 6, context=context), expected, 6)
    for name in CONTEXT:
        others = {key: value for key, value in context.items() if key != name}
        with pytest.raises(InputError, match=rf"give a value of \['{name}'\]"):
            trained.recommend(users, context=others)
    with pytest.raises(InputError, match=r"'positon' is no context feature.*mean position"):
        trained.recommend(users, context=context | {"positon": "top"})


def test_what_was_done_since_by_predict(
    later_shop: Path, shop_model: rg.TrainedModel, tmp_path: Path
) -> None:
    """Of a user with both histories, with either and with none."""
    path, context = later_shop / "later.csv", {"position": "top", "coupons": "c1", "delay": 0.5}
    later = rg.BehaviorLog.from_frame(path, **COLUMNS)
    clicks = pl.read_csv(path).filter(click=1)
    old = {user for user in shop_model.histories.user_ids if user in clicks["shopper"]}
    users = [min(old), "s49" if "s49" not in clicks["shopper"] else "s48", "new0", "nobody"]
    items = shop_model.item_ids.to_list()
    pairs = [(user, item) for user in users for item in items]
    asked = [list(ids) for ids in zip(*pairs, strict=True)]
    rows = pl.DataFrame([context] * len(pairs))
    scores = shop_model.predict(*asked, context=rows, history=later)
    seen = set(clicks.select("shopper", "article").iter_rows())
    for number, user in enumerate(shop_model.histories.user_ids):
        own = shop_model.histories.of_user(number).tolist()
        seen |= {(user, items[item]) for item in own}
    for include_seen in (False, True):
        expected: dict[Any, list[tuple[Any, float]]] = {user: [] for user in users}
        for pair, score in zip(pairs, scores, strict=True):
            if include_seen or pair not in seen:
                expected[pair[0]].append((pair[1], score))
        best = {user: sorted(own, key=lambda one: -one[1]) for user, own in expected.items()}
        options: dict[str, Any] = {"include_seen": include_seen, "context": context}
        found = shop_model.recommend(users, 8, history=later, **options)
        check(found, best, 8)
    assert {(user, item) for user, item in found.select("user", "item").iter_rows()} & seen
    every = shop_model.recommend(k=1, history=later, context=context)["user"].to_list()
    assert sorted(every) == sorted({*shop_model.histories.user_ids, *later.user_ids})


def test_what_is_refused(trained: rg.TrainedModel) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"users": ["u01", "x", "y", "x"]}, r"users .* not know: \['x', 'y'\] \(2 of 3\)"),
        ({"users": []}, "no user to recommend for"),
        ({"users": ["u01", None]}, "column 'user', row 1"),
        ({"candidates": ["P-7"]}, r"items that the model does not know: \['P-7'\] \(1 of 1\)"),
        ({"k": 0}, "k must be at least 1, not 0"),
        ({"k": 9, "retrieve": 8}, "retrieve=8: of so few candidates there are no 9 best"),
        ({"context": {"page": "home"}}, "'page' is no context feature of the model, which has non"),
    ]
    for options, message in cases:
        with pytest.raises(InputError, match=message):
            trained.recommend(**options)
    model = copy.deepcopy(trained.model)
    assert isinstance(model, rg.DIN)
    nn.init.constant_(model.mlp[-1].bias, torch.inf)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a score is not a number"):
        replace(trained, model=model).recommend(["u01"])
