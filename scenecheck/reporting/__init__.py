"""A stored run for people and machines: pages in two languages, CSV, JSON lines, JUnit."""

from scenecheck.reporting.write import FILES, write_reports

__all__ = ["FILES", "write_reports"]
