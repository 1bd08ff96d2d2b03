"""Encoders of the co-visit graph: which centres an item belongs to."""
