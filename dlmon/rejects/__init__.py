"""Rejects: how they travel, are found, grouped, exported, patched and acted on."""

MAX_REPLAYS = 3
"""How often a reject is replayed before it is left alone, unless the user says otherwise."""
