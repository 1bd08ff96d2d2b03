import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from resemb_gnn import Examples, InputError

ITEMS = torch.arange(100, 130)  # of 30 behaviours, all different


@st.composite
def _examples(draw):
    windows = draw(
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted), max_size=12)
    )
    size = len(windows)
    return Examples(
        items=ITEMS,
        start=torch.tensor([start for start, _ in windows], dtype=torch.long),
        end=torch.tensor([end for _, end in windows], dtype=torch.long),
        target=torch.arange(size) + 500,
        label=torch.arange(size) % 2.0,
        user=torch.arange(size) * 3,
    )


def _naive(examples, index, max_history):
    """Histories, targets, labels and users of a batch, by slices of lists."""
    items = examples.items.tolist()
    out = []
    for i in index:
        history = items[int(examples.start[i]) : int(examples.end[i])]
        if max_history is not None:
            history = history[max(len(history) - max_history, 0) :]
        out.append(
            (history, int(examples.target[i]), float(examples.label[i]), int(examples.user[i]))
        )
    return out


def _rows(batch):
    ptr = batch.ptr.tolist()
    assert ptr[0] == 0
    assert ptr[-1] == batch.history.numel()
    return [
        (batch.history[a:b].tolist(), int(target), float(label), int(user))
        for a, b, target, label, user in zip(
            ptr, ptr[1:], batch.target, batch.label, batch.user, strict=False
        )
    ]


@given(_examples(), st.data())
@settings(max_examples=80, deadline=None)
def test_batch_is_what_slices_of_lists_give(examples, data):
    size = len(examples)
    numbers = st.lists(st.integers(0, size - 1), max_size=10) if size else st.just([])
    index = data.draw(numbers)
    max_history = data.draw(st.none() | st.integers(0, 8) | st.just(1000))
    batch = examples.batch(torch.tensor(index, dtype=torch.long), max_history)
    assert _rows(batch) == _naive(examples, index, max_history)
    assert len(batch) == len(index)
    assert batch.ptr.numel() == len(index) + 1
    assert batch.history.dtype == batch.ptr.dtype == batch.target.dtype == torch.long
    assert batch.label.dtype == torch.float


@given(_examples(), st.integers(1, 5), st.none() | st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_batches_cover_every_example_once(examples, batch_size, max_history):
    expected = _naive(examples, range(len(examples)), max_history)
    in_order = list(examples.batches(batch_size, max_history))
    assert [row for batch in in_order for row in _rows(batch)] == expected
    shuffled = list(examples.batches(batch_size, max_history, torch.Generator().manual_seed(1)))
    rows = [row for batch in shuffled for row in _rows(batch)]
    assert sorted(rows, key=lambda row: row[1]) == expected
    for batches in (in_order, shuffled):
        assert all(len(batch) == batch_size for batch in batches[:-1])
        assert len(batches[-1]) <= batch_size


def _split_examples(log):
    return log.split().train


def test_batches_are_shuffled_anew_and_reproducibly(log):
    examples = _split_examples(log)
    generator = torch.Generator().manual_seed(5)
    first, second, again = (
        torch.cat([batch.target for batch in examples.batches(64, generator=generator)])
        for generator in (generator, generator, torch.Generator().manual_seed(5))
    )
    assert not torch.equal(first, examples.target)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_select_examples_by_number_and_by_mask(log):
    examples = _split_examples(log)
    clicked = examples[examples.label > 0]
    numbers = examples[(examples.label > 0).nonzero().flatten()]
    assert len(clicked) == int(examples.label.sum()) < len(examples)
    assert clicked.items is examples.items
    for name in ("start", "end", "target", "label", "user"):
        assert torch.equal(getattr(clicked, name), getattr(numbers, name))
        assert torch.equal(getattr(clicked, name), getattr(examples, name)[examples.label > 0])


def test_repr():
    parts = {name: torch.zeros(3, dtype=torch.long) for name in ("start", "end", "target", "user")}
    examples = Examples(items=ITEMS, label=torch.tensor([1.0, 0.0, 1.0]), **parts)
    assert repr(examples) == "Examples(3, positives=2)"


def test_parts_of_different_sizes_are_refused():
    parts = {name: torch.zeros(3, dtype=torch.long) for name in ("start", "end", "target", "user")}
    with pytest.raises(InputError, match=r"differ in size: .*'label': 2"):
        Examples(items=ITEMS, label=torch.zeros(2), **parts)


def test_to_moves_every_part(log):
    examples = _split_examples(log)
    moved = examples.to("meta")  # a device without memory
    parts = {name: part for name, part in vars(moved).items() if part is not None}
    assert {part.device.type for part in parts.values()} == {"meta"}
    user_fold = torch.zeros(log.num_users, dtype=torch.long)
    batch = next(examples.batches(4, generator=torch.Generator(), user_fold=user_fold)).to("meta")
    devices = {
        name: part.device.type
        for name, part in vars(batch).items()
        if part is not None and name not in ("fold", "candidates")
    }
    assert devices == dict.fromkeys(["history", "ptr", "target", "label", "user", "row"], "meta")
    assert batch.fold == 0
    assert len(batch) == 4


def test_folds_that_lack_a_user_are_refused(log):
    examples = _split_examples(log)
    folds = torch.zeros(int(examples.user.max()), dtype=torch.long)
    with pytest.raises(InputError, match=r"user_fold holds \d+ users, but there is a user \d+"):
        examples.plan(4, torch.Generator(), folds)


def test_past_items_by_a_loop(log):
    examples = log.split().train[torch.arange(5, 25)]
    windows = zip(examples.start.tolist(), examples.end.tolist(), strict=True)
    expected = {item for start, end in windows for item in examples.items[start:end].tolist()}
    assert examples.past_items().tolist() == sorted(expected)
    assert len(expected) < log.num_items  # what comes later is not among them
