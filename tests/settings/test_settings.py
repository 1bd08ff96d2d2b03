"""Settings refuse what they do not know."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resemb_gnn import InputError
from resemb_gnn.data.features import KINDS
from resemb_gnn.settings import CompareSettings, FitSettings
from resemb_gnn.settings.names import FEATURE_KINDS
from resemb_gnn.settings.shared import by_name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embeddings": ("plain", "gnc")}, r"the embedding 'gnc' is unknown; choose from plain, "),
        ({"model": "9" * 5000}, r"model='9{1,40}\.\.\.9{1,40}' is unknown; choose from din"),
        ({"model": "dim"}, r"model='dim' is unknown; choose from din, .*; did you mean din\?"),
        ({"models": ("diem",)}, r"models='diem' is unknown; .*; did you mean dien\?"),
        ({"split": "random"}, r"split='random' is unknown; choose from last, time"),
        ({"negatives": "hard"}, r"negatives='hard' is unknown; choose from uniform, popularity"),
        (
            {"graph": "shuffled"},
            r"graph='shuffled' is unknown; choose from covisit, permuted, permuted-with-counts",
        ),
        ({"epochs": 0}, r"epochs must be above 0, not 0"),
        ({"lr": -1.0}, r"lr must be above 0, not -1.0"),
        ({"seeds": 0}, r"seeds must be above 0, not 0"),
        ({"num_layers": 65}, r"num_layers must be at most 64, not 65"),
        ({"max_history": 2**63}, r"max_history must be at most 9223372036854775807, not 92233"),
        ({"l2": 10**400}, r"l2 must be at most 3\.4.*e\+38, not 1000"),
        ({"residual_max_norm": float("inf")}, r"residual_max_norm must be at most .*, not inf"),
        ({"embeddings": ()}, r"at least one embedding"),
    ],
)
def test_unknown_choices_and_numbers_out_of_range(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CompareSettings(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user": 3}, "user must be text, not 3"),
        ({"use_category": 1}, "use_category must be true or false, not 1"),
        ({"epochs": 1.5}, "epochs must be a whole number, not 1.5"),
        ({"epochs": True}, "epochs must be a whole number, not True"),
        ({"epochs": "3"}, "epochs must be a whole number, not '3'"),
        ({"epochs": None}, "epochs must be a whole number, not None"),
        ({"lr": "0.1"}, "lr must be a number, not '0.1'"),
        ({"lr": float("nan")}, "lr must be above 0, not nan"),
        ({"shrinkage": np.array([1.0])}, "shrinkage must be a number, not array"),
        ({"embeddings": "gcn"}, "embeddings must be several values, not 'gcn'"),
    ],
)
def test_values_of_another_type_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CompareSettings(**changes)  # type: ignore[arg-type]


def test_numbers_of_other_libraries_become_pythons() -> None:
    settings = FitSettings(
        epochs=1.0,  # type: ignore[arg-type]
        embedding="gcn",
        folds=np.int64(2),  # type: ignore[arg-type]
        lr=np.float32(0.5),  # type: ignore[arg-type]
        seed=torch.tensor(3),  # type: ignore[arg-type]
        shrinkage=7,
        compile=np.True_,  # type: ignore[arg-type]
        out=Path("m"),  # type: ignore[arg-type]
        label=np.str_("click"),
    )
    found = (settings.epochs, settings.folds, settings.lr, settings.seed, settings.shrinkage)
    assert found == (1, 2, 0.5, 3, 7.0)
    assert [type(value) for value in found] == [int, int, float, int, float]
    assert (settings.compile, settings.out) == (True, "m")
    assert type(settings.compile) is bool
    assert type(settings.label) is str
    json.dumps(asdict(settings))  # what trains can be saved


@given(st.data())
def test_every_value_that_is_taken_comes_back_from_json(data: st.DataObject) -> None:
    numbers = st.integers(-5, 10**6) | st.floats(-1, 10**6) | st.booleans()
    numbers |= st.integers(0, 100).map(np.int32) | st.floats(0, 100, width=16).map(np.float16)
    spec = data.draw(st.sampled_from(fields(FitSettings)))
    value = data.draw(numbers | st.none() | st.text(max_size=3))
    try:
        settings = FitSettings(**{spec.name: value})
    except InputError:
        return
    assert FitSettings(**json.loads(json.dumps(asdict(settings)))) == settings


def test_identity_leaves_out_what_may_change_on_resume() -> None:
    one = CompareSettings(embeddings=("plain",), seeds=1, out="a", quiet=True)
    other = CompareSettings(embeddings=("gcn",), seeds=5, out="b", resume=True)
    assert one.identity() == other.identity()
    assert one.identity() != CompareSettings(window=6).identity()


def test_kinds_are_those_of_the_data() -> None:
    assert FEATURE_KINDS == KINDS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": ["a=text"]}, "the kind 'text' is unknown; choose from category"),
        ({"kinds": "a=list"}, "kinds must be several values"),
        ({"widths": ["a=-1"]}, "is not of the form NAME=WIDTH"),
        ({"embed": ["author"]}, "embed='author' is not of the form NAME=EMBEDDING"),
        ({"embed": ["=gcn"]}, "embed='=gcn' is not of the form NAME=EMBEDDING"),
        ({"embed": ["a=gnc"]}, "embed='a=gnc': the embedding 'gnc' is unknown; .* mean gcn"),
        ({"embed": ["a=category:free"]}, "the values of a feature have no categories"),
        ({"embed": ["a=gcn", "a=plain"]}, "'a' comes twice: as gcn and as plain"),
        ({"embed": ["a=gcn"], "use_features": False}, "use_features=False leaves out"),
        ({"widths": ["=3"]}, "is not of the form NAME=WIDTH"),
        ({"context": [3]}, "context must be text"),
    ],
)
def test_settings_of_features(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FitSettings(**changes)


def test_names_before_the_last_sign_of_equality() -> None:
    settings = FitSettings(widths=["a=b=03", "c=4"], kinds=["x=y=list"])
    assert by_name(settings.widths) == {"a=b": "3", "c": "4"}
    assert by_name(settings.kinds) == {"x=y": "list"}
    assert settings.identity()["widths"] == ["a=b=3", "c=4"]


@pytest.mark.parametrize("kind", [FitSettings, CompareSettings])
def test_embeddings_of_features(kind: type[FitSettings] | type[CompareSettings]) -> None:
    """In one spelling, and what they read may be set."""
    settings = kind(embed=["a=gcn:held", "b=c=plain:free", "a=gcn"], num_centers=5)
    assert settings.embedded == {"a": "gcn", "b=c": "plain"}
    assert settings.identity()["embed"] == ["a=gcn", "b=c=plain"]
    alone = {"embedding": "plain"} if kind is FitSettings else {"embeddings": ["plain"]}
    with pytest.raises(InputError, match="num_centers is not read by plain or plain:l2"):
        kind(**alone, embed=["a=plain:l2"], num_centers=5)
    assert kind(**alone, embed=["a=gat"], num_centers=5).num_centers == 5
