"""Cleaning the tags of a crawl: rules, and two engines that apply them.

`clean` is the whole of it for rows in memory.
"""

from data_prep.cleaning.memory import Cleaned, clean
from data_prep.cleaning.rules import Rules

__all__ = ["Cleaned", "Rules", "clean"]
