"""Envelope radius, use of centres, generalisation gap and its bound."""

from resemb_gnn.theory.centers import (
    Agreement,
    agreement,
    center_usage,
    effective_centers,
    main_centers,
    residual_share,
)
from resemb_gnn.theory.enclosing_ball import Ball, smallest_enclosing_ball
from resemb_gnn.theory.envelope_radius import EnvelopeRadius, envelope_balls, envelope_radius
from resemb_gnn.theory.gap_bound import GapBound, count_cells, deviation_term, gap_bound
from resemb_gnn.theory.generalization_gap import Gap, GapCurve
from resemb_gnn.theory.interests import graph_communities

__all__ = [
    "Agreement",
    "Ball",
    "EnvelopeRadius",
    "Gap",
    "GapBound",
    "GapCurve",
    "agreement",
    "center_usage",
    "count_cells",
    "deviation_term",
    "effective_centers",
    "envelope_balls",
    "envelope_radius",
    "gap_bound",
    "graph_communities",
    "main_centers",
    "residual_share",
    "smallest_enclosing_ball",
]
