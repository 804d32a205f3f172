"""Hypothesis tries as much here as in the tests of the rules, whose commands are used again."""

from tests.domain.conftest import settings

__all__ = ["settings"]
