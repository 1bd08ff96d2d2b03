"""Settings refuse what they do not know."""

import pytest

from resemb_gnn import InputError
from resemb_gnn.experiment import CompareSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embeddings": ("plain", "gnc")}, r"embeddings='gnc' is unknown; choose from plain, "),
        ({"model": "9" * 5000}, r"model='9{1,40}\.\.\.9{1,40}' is unknown; choose from din"),
        ({"model": "dim"}, r"model='dim' is unknown; choose from din"),
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


def test_a_number_where_a_word_or_a_flag_goes_is_not_measured() -> None:
    settings = CompareSettings(user=3, use_category=1)  # type: ignore[arg-type]
    assert (settings.user, settings.use_category) == (3, 1)


def test_identity_leaves_out_what_may_change_on_resume() -> None:
    one = CompareSettings(embeddings=("plain",), seeds=1, out="a", quiet=True)
    other = CompareSettings(embeddings=("gcn",), seeds=5, out="b", resume=True)
    assert one.identity() == other.identity()
    assert one.identity() != CompareSettings(window=6).identity()
