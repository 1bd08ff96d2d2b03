"""Layers: jagged attention, AUGRU, Dice, segment operations."""
