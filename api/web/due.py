"""When something is tried next, as people say it."""

from datetime import UTC, datetime

from api.web.languages import Language

SOON = 60  # seconds


def due(language: Language, moment: str) -> str:
    """Such as "in 5 minutes"; what is due in a minute, or was due by now, is so in a moment."""
    now = datetime.now(UTC)
    if (datetime.fromisoformat(moment) - now).total_seconds() < SOON:
        return str(language.text("in-a-moment"))
    return language.ago(moment, now)
