"""Faults that are really injected, and what was seen: `python -m tests.faults`."""
