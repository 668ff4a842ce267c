"""A stored run for people and machines: pages in two languages, CSV, JSON lines, JUnit."""

from scenecheck.reporting.write import FILES, prepare, write_reports

__all__ = ["FILES", "prepare", "write_reports"]
