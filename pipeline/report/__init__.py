"""What phrase localisation reached, as one web page that needs nothing beside it."""

from pipeline.report.page import write_report

__all__ = ["write_report"]
