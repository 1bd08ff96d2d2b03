import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.quiver import Quiver
from matplotlib.text import Text
from sklearn.cluster import KMeans

from resemb_gnn.experiment.report.figures import (
    CURVES,
    SEED_FIGURES,
    arm_style,
    curve_figure,
    difference_figure,
    seeds_figure,
)
from resemb_gnn.experiment.report.item_figures import (
    MOST_ARROWS,
    arrow_scale,
    center_usage_figure,
    draw_items,
    envelope,
    geometry_figure,
    item_frame,
    largest_groups,
)
from resemb_gnn.experiment.report.plotting import INK, PALETTE, new_figure, shorten, to_svg
from resemb_gnn.settings.embedding import SHARED
from resemb_gnn.settings.names import MODELS

LONG = "an encoder with a name far too long for any label of a figure"


def lines_of(figure: Figure, color: str) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if to_hex(line.get_color()) == color.lower()]


@pytest.mark.parametrize("measure", CURVES)
def test_curves(make_results: Callable, measure: str) -> None:
    results = make_results(("gcn", "plain"))
    figure = curve_figure(results, measure)
    runs = [run for run in results["runs"] if run["embedding"] == "gcn"]
    first, *rest = CURVES[measure]
    curves = [[e[first][rest[0]] if rest else e[first] for e in run["curve"]] for run in runs]
    lengths = [len(curve) for curve in curves]
    assert len(set(lengths)) > 1  # runs that stop at different epochs

    *marks, mean = lines_of(figure, PALETTE[0])
    thin, dots = marks[::2], marks[1::2]
    for line, dot, curve, run in zip(thin, dots, curves, runs, strict=True):
        assert line.get_ydata().tolist() == curve
        assert line.get_xdata().tolist() == list(range(1, len(curve) + 1))
        best = run["best_epoch"]
        assert (dot.get_xdata().item(), dot.get_ydata().item()) == (best, curve[best - 1])
    expected = [sum(values) / 3 for values in zip(*curves, strict=False)]
    np.testing.assert_allclose(mean.get_ydata(), expected)
    assert [text.get_text() for text in figure.legends[0].texts] == ["gcn", "plain"]


@pytest.mark.parametrize("measure", SEED_FIGURES)
def test_seeds(make_results: Callable, measure: str) -> None:
    results = make_results(("plain", "gcn"))
    bar, dots = lines_of(seeds_figure(results, measure), PALETTE[0])
    runs = [run for run in results["runs"] if run["embedding"] == "gcn"]
    values = [run["gap"] if measure.startswith("gen") else run["test"]["auc"] for run in runs]
    assert dots.get_xdata().tolist() == values
    assert bar.get_xdata().item() == pytest.approx(sum(values) / 3)
    assert set(dots.get_ydata()) == {1}  # the second row


def test_differences(make_results: Callable) -> None:
    results = make_results(("gat", "plain"))
    plain, gat = (
        np.array([run["test"]["auc"] for run in results["runs"] if run["embedding"] == name])
        for name in ("plain", "gat")
    )
    figure = difference_figure(results)
    interval, bar, dots = lines_of(figure, PALETTE[0])
    expected = scipy.stats.ttest_rel(gat, plain).confidence_interval(0.95)
    np.testing.assert_allclose(interval.get_xdata(), [expected.low, expected.high])
    np.testing.assert_allclose(dots.get_xdata(), gat - plain)
    assert bar.get_xdata().item() == pytest.approx((gat - plain).mean())


def test_no_differences(make_results: Callable) -> None:
    assert difference_figure(make_results(("gcn", "gat"))) is None
    assert difference_figure(make_results(("plain",))) is None
    apart = make_results(("plain", "gcn"), seeds=1)
    apart["runs"][1]["seed"] = 5
    assert difference_figure(apart) is None


def test_geometry(make_geometry: Callable) -> None:
    geometry = make_geometry()
    axes = geometry_figure(geometry, "gcn").axes[0]
    groups = largest_groups(geometry.main_center)
    circles = [patch for patch in axes.patches if isinstance(patch, Circle)]
    stars = [line for line in axes.lines if line.get_marker() == "*" and len(line.get_xdata())]
    assert len(circles) == len(stars) == len(groups) == len(PALETTE)
    for circle, star, center, color in zip(circles, stars, groups, PALETTE, strict=True):
        own = geometry.embedding[geometry.main_center == center]
        spread = np.trace(np.cov(own.T, ddof=0))
        assert circle.radius == pytest.approx(math.sqrt(spread), rel=1e-5)
        np.testing.assert_allclose(circle.center, own.mean(axis=0), rtol=1e-5)
        low, high = item_frame(geometry, arrow_scale(geometry))
        at = geometry.centers[center]
        np.testing.assert_allclose(star.get_xydata()[0], np.clip(at, low, high))
        beyond = ((at < low) | (at > high)).any()
        assert star.get_markersize() == (8 if beyond else 13)
        assert to_hex(circle.get_edgecolor()) == star.get_markerfacecolor().lower()
        assert star.get_markerfacecolor() == color

    (quiver,) = (artist for artist in axes.collections if isinstance(artist, Quiver))
    scale = arrow_scale(geometry)
    assert scale > 1
    residual = geometry.embedding - geometry.central
    np.testing.assert_allclose(np.stack([quiver.U, quiver.V], axis=1), scale * residual)
    np.testing.assert_allclose(quiver.get_offsets(), geometry.central)
    labels = axes.get_legend_handles_labels()[1]
    assert f"residual × {scale}" in labels
    assert f"centre {groups[0]}: {(geometry.main_center == groups[0]).sum()} items" in labels
    assert axes.get_aspect() == 1


def test_what_lies_far_out_does_not_stretch_the_view(make_geometry: Callable) -> None:
    geometry = make_geometry()
    far = replace(geometry, centers=geometry.centers * 100)
    far.embedding[0], far.central[0] = 50, 50  # one item of 200
    axes = geometry_figure(far, "gcn").axes[0]
    scale = arrow_scale(far)
    ends = far.central + scale * (far.embedding - far.central)
    for points in (far.central, ends):
        inside = [
            (limits[0] < column) & (column < limits[1])
            for column, limits in zip(points.T, (axes.get_xlim(), axes.get_ylim()), strict=True)
        ]
        assert np.mean(inside, axis=1).min() >= 0.97
    width, height = np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())
    assert width == pytest.approx(height)
    assert width < 2 * np.ptp(geometry.central, axis=0).max()
    for line in axes.lines:  # the stars stand in view, on the edge
        if line.get_marker() == "*" and len(line.get_xdata()):
            assert axes.get_xlim()[0] < line.get_xdata()[0] < axes.get_xlim()[1]
            assert line.get_markersize() == 8


def test_many_items_have_few_arrows(make_geometry: Callable) -> None:
    axes = geometry_figure(make_geometry(num_items=MOST_ARROWS + 5), "gcn").axes[0]
    (quiver,) = (artist for artist in axes.collections if isinstance(artist, Quiver))
    assert len(quiver.U) == len(quiver.get_offsets()) == MOST_ARROWS


def test_curves_are_clipped_to_where_most_are(make_results: Callable) -> None:
    results = make_results(("gcn", "plain"))
    inside = curve_figure(results, "training loss").axes[0].get_ylim()
    values = [epoch["train_loss"] for run in results["runs"] for epoch in run["curve"]]
    assert inside[0] < min(values) < max(values) < inside[1]  # none is far from the others
    results["runs"][0]["curve"][-1]["train_loss"] = 40.0
    low, high = curve_figure(results, "training loss").axes[0].get_ylim()
    assert low == pytest.approx(inside[0], abs=0.05)
    assert high == pytest.approx(inside[1], abs=0.05)
    results["runs"][0]["best_epoch"] = len(results["runs"][0]["curve"])
    assert curve_figure(results, "training loss").axes[0].get_ylim()[1] > 40  # what was chosen


def test_geometry_with_a_center_per_item(make_geometry: Callable) -> None:
    geometry = replace(make_geometry(), num_items=np.array(8))
    axes = geometry_figure(geometry, "average").axes[0]
    assert not axes.patches
    items = [line for line in axes.lines if line.get_label() == "items"]
    np.testing.assert_allclose(items[0].get_xydata(), geometry.central)


def test_largest_groups() -> None:
    assert largest_groups(np.array([3] * 4 + [1] * 2 + [7] * 4 + [2])) == [3, 7, 1]
    assert largest_groups(np.repeat(np.arange(9), 2)) == list(range(len(PALETTE)))


def test_geometry_by_known_interests(make_geometry: Callable) -> None:
    geometry = make_geometry()
    interest = np.arange(len(geometry.items)) % 3
    with new_figure(4) as (_, axes):
        draw_items(axes, geometry, interest=interest)
    circles = [patch for patch in axes.patches if isinstance(patch, Circle)]
    assert len(circles) == 3
    for number, circle in enumerate(circles):
        middle, radius = envelope(geometry.embedding[interest == number])
        assert circle.radius == pytest.approx(radius)
        np.testing.assert_allclose(circle.center, middle)
        assert to_hex(circle.get_edgecolor()) == PALETTE[number].lower()
    stars = [line for line in axes.lines if line.get_marker() == "*" and len(line.get_xdata())]
    np.testing.assert_allclose([star.get_xydata()[0] for star in stars], geometry.centers)
    (quiver,) = (artist for artist in axes.collections if isinstance(artist, Quiver))
    np.testing.assert_allclose(quiver.U, (geometry.embedding - geometry.central)[:, 0])


@given(arrays(np.float64, (12, 3), elements=st.floats(-5, 5)))
@settings(max_examples=20, deadline=None)
def test_envelope_is_a_cluster_of_k_means(points: np.ndarray) -> None:
    middle, radius = envelope(points)
    single = KMeans(1, n_init=1).fit(points)
    np.testing.assert_allclose(middle, single.cluster_centers_[0], atol=1e-9)
    assert radius == pytest.approx(math.sqrt(max(single.inertia_, 0) / 12), abs=1e-6)


@given(st.floats(1e-6, 1e3))
@settings(max_examples=40, deadline=None)
def test_arrow_scale(make_geometry: Callable, residual: float) -> None:
    geometry = make_geometry(residual=residual)
    scale = arrow_scale(geometry)
    length = np.sqrt(np.square(geometry.embedding - geometry.central).sum(axis=1).mean())
    radius = envelope(geometry.embedding)[1]
    assert scale == 1 or scale * length <= radius / 5
    assert scale * length * 2.5 > radius / 5 or scale == 500_000
    assert f"{scale:e}"[0] in "125"


def test_arrow_scale_without_residuals(make_geometry: Callable) -> None:
    geometry = make_geometry()
    assert arrow_scale(replace(geometry, embedding=geometry.central)) == 1


def test_center_usage(make_geometry: Callable) -> None:
    geometry = make_geometry()
    shuffled = replace(geometry, usage=geometry.usage[::-1].copy())
    figure = center_usage_figure({"gcn": shuffled})
    (line,) = lines_of(figure, PALETTE[0])
    np.testing.assert_allclose(line.get_ydata(), np.sort(geometry.usage)[::-1] * 8)
    np.testing.assert_allclose(line.get_xdata(), np.arange(1, 9) / 8)
    assert figure.legends[0].texts[0].get_text() == f"gcn: {geometry.effective_centers:.0f} of 8"
    ticks = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(ticks) >= 4
    wide = replace(geometry, usage=np.full(12_101, 1 / 12_101, dtype=np.float32))
    assert wide.effective_centers == pytest.approx(12_101)
    (line,) = lines_of(center_usage_figure({"average": wide}), PALETTE[0])
    assert len(line.get_xdata()) <= 300


def test_an_embedding_has_one_color(make_results: Callable) -> None:
    results = make_results()
    styles = [arm_style(results, name) for name in ("plain", "average", "gcn", "gat")]
    assert [style["color"] for style in styles] == [INK, *PALETTE[:3]]
    assert len({str(style["linestyle"]) for style in styles[1:]}) == 3


@pytest.mark.parametrize("names", [("plain", "gcn"), ("plain", LONG, *"abcdef")])
def test_no_text_is_cut_off_or_overlaps(
    make_results: Callable,
    make_geometry: Callable,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
) -> None:
    drawn: list[Text] = []
    draw = Text.draw
    monkeypatch.setattr(Text, "draw", lambda text, *args: (drawn.append(text), draw(text, *args)))
    results = make_results(("plain", "average", "gcn", "gat"))
    arms = dict(zip(("plain", "average", "gcn", "gat"), names, strict=False))
    results["runs"] = [run for run in results["runs"] if run["embedding"] in arms]
    results["runs"] = [run | {"embedding": arms[run["embedding"]]} for run in results["runs"]]
    results["runs"] += [results["runs"][-1] | {"embedding": name} for name in names[4:]]
    geometry = make_geometry(num_items=800)
    figures = [curve_figure(results, measure) for measure in CURVES]
    figures += [seeds_figure(results, measure) for measure in SEED_FIGURES]
    figures += [difference_figure(results), geometry_figure(geometry, names[1])]
    figures += [geometry_figure(replace(geometry, num_items=np.array(8)), names[1])]
    figures += [center_usage_figure(dict.fromkeys(names, geometry))]
    for figure in figures:
        canvas = FigureCanvasAgg(figure)
        drawn.clear()
        canvas.draw()
        texts = [text for text in drawn if text.get_visible() and text.get_text()]
        assert len(texts) > 5
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
        for text, box in zip(texts, boxes, strict=True):
            assert figure.bbox.x0 <= box.x0, text
            assert box.x1 <= figure.bbox.x1, text
            assert figure.bbox.y0 <= box.y0, text
            assert box.y1 <= figure.bbox.y1, text
        for (one, a), (two, b) in itertools.combinations(zip(texts, boxes, strict=True), 2):
            assert not a.padded(-1).overlaps(b.padded(-1)), (one, two)


@pytest.mark.parametrize("measure", ["test AUC", "generalisation gap"])
def test_not_finite_values(make_results: Callable, measure: str) -> None:
    results = make_results()
    results["runs"][2]["test"]["auc"] = results["runs"][2]["gap"] = math.nan
    results["runs"][3]["test"]["auc"] = results["runs"][3]["gap"] = None
    results["runs"][1]["curve"][0]["valid"]["auc"] = math.nan
    results["runs"][0]["curve"] = []
    svgs = [
        to_svg(seeds_figure(results, measure), "seeds"),
        to_svg(difference_figure(results), "difference"),
        to_svg(curve_figure(results, "validation AUC"), "curves"),
    ]
    for svg in svgs:
        assert "gat" in "".join(ElementTree.fromstring(svg).itertext())


def test_svg_stands_in_a_page(make_results: Callable) -> None:
    results = make_results(("plain", "gcn"))
    for run in results["runs"][1::2]:
        run["embedding"] = "<script> $x^2$"
    svg = to_svg(seeds_figure(results, "test AUC"), 'dots "and" <bars>')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'dots "and" <bars>'
    assert "viewBox" in root.attrib
    assert not {"width", "height"} & root.attrib.keys()
    text = "".join(root.itertext())
    assert "<script> $x^2$" in text
    assert not [element for element in root.iter() if element.tag.endswith("}script")]
    assert "currentColor" in svg
    assert INK not in svg
    assert "metadata" not in svg
    other = to_svg(seeds_figure(results, "test AUC"), "another figure")
    ids = [{e.get("id") for e in ElementTree.fromstring(s).iter()} - {None} for s in (svg, other)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_same_geometry_same_bytes(make_geometry: Callable) -> None:
    figures = [geometry_figure(make_geometry(), "gcn") for _ in range(2)]
    first, second = (to_svg(figure, "items") for figure in figures)
    assert first == second


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gcn", "gcn"),
        ("a\nb\x00c", "a b c"),
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 10 + "…" + "x" * 9),
    ],
)
def test_shorten(name: str, expected: str) -> None:
    assert shorten(name) == expected


def test_labels_of_one_embedding_in_several_models_differ() -> None:
    every = [f"{one} in {model}" for one in SHARED for model in MODELS]
    assert len({shorten(name) for name in every}) == len(every)
    assert max(map(len, every)) > 20
