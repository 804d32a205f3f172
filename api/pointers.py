"""Where in a document something is: JSON pointers (RFC 6901)."""


def escape(key: object) -> str:
    """A key as a part of a pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")
