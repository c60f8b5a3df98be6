"""The command line, for tests of the pages."""

from pages import run

__all__ = ["run"]
