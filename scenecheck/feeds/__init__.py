"""Inventories: which feeds there are, how to reach them, what is expected there, where they are shown."""

from __future__ import annotations

from scenecheck.feeds.load import load, unresolved
from scenecheck.feeds.model import Feed, Inventory, InventoryError, Problem, Publish, Secret, problem_lines

__all__ = [
    "Feed",
    "Inventory",
    "InventoryError",
    "Problem",
    "Publish",
    "Secret",
    "load",
    "problem_lines",
    "unresolved",
]
