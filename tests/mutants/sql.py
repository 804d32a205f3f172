"""Mutants of SQL: of functions in a script, or of the queries in a module."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.mutants.mutant import Mutant

_ = r"\1"
RULES: list[tuple[str, list[str]]] = [
    (r"(?<= )=(?= )", ["<>"]),
    (r"<>", ["="]),
    (r"(?<= )<(?= )", ["<="]),
    (r"(?<= )>(?= )", [">="]),
    (r"(?<= )>=(?= )", [">"]),
    (r"(?<= )\+(?= )", ["-"]),
    (r"\bAND\b", ["OR"]),
    (r"\bOR\b", ["AND"]),
    (r"\bNOT (?!NULL|DISTINCT)(?=\w)", [""]),
    (r"\bIS NOT NULL\b", ["IS NULL"]),
    (r"\bIS NULL\b", ["IS NOT NULL"]),
    (r"\bIS DISTINCT FROM\b", ["IS NOT DISTINCT FROM"]),
    (r"\bIS (NOT )?TRUE\b", ["IS FALSE"]),
    (r"\b(LEFT )JOIN\b", ["JOIN"]),
    (r" DESC\b", [""]),
    (r"\bgreatest\b", ["least"]),
    (r"\bmax\b", ["min"]),
    (r"\bcoalesce\(([\w.]+), [^()]*(?:\([^()]*\))?[^()]*\)", [_]),
    (r"\b(?<!\d\.)(?<!')\d+(?!\.\d|[\w'])", ["+1"]),
    (r"(?<=[ (,])'[^'\n]+'", ["'X'"]),
    (r"\bfalse\b", ["true"]),
    (r"\btrue\b", ["false"]),
    (r"\bWHERE\b(?! e\.position DESC)", ["WHERE false AND"]),
    # A condition, a branch, a column that is kept up to date, or a whole statement is missing.
    (r"\bAND (?!CASE)[^\n]*?(?=\s+AND\b|\s+OR\b|\s+THEN\b|\s*\n(?!\s*#)|;)", [""]),
    (r"\bWHEN (?:(?!THEN)[\s\S])+THEN (?:(?!ELSE)[^\n])+(?=\s)", [""]),
    (r"(?<=SET )\w+ = excluded\.\w+, ", [""]),
    (r", \w+ = excluded\.\w+", [""]),
    (r"(?m)^ +(?:PERFORM|head :=|moment :=|EXIT WHEN)[^;]*;", [" NULL;"]),
]
BROKEN = re.compile(rb"\bCASE\s+(?:r\.outcome\s+)?(?:ELSE|END)\b")
COMMENT = re.compile(rb"--[^\n]*")


def functions(path: Path, *names: str) -> Iterator[Mutant]:
    """The mutants of the bodies of these functions of a script."""
    source = path.read_bytes()
    for name in names:
        head = re.search(rb"FUNCTION %b\(" % re.escape(name.encode()), source)
        assert head, f"{path} has no {name}"
        start = source.index(b"AS $$", head.end()) + len(b"AS $$")
        yield from _mutants(path, source, start, source.index(b"$$;", start))


def queries(path: Path) -> Iterator[Mutant]:
    """The mutants of the queries that a module has as constants."""
    source = path.read_bytes()
    for query in re.finditer(rb'(?m)^[A-Z_]+ = (?:scoped\()?"""\n(.*?)"""', source, re.DOTALL):
        yield from _mutants(path, source, *query.span(1))


def _mutants(path: Path, source: bytes, start: int, end: int) -> Iterator[Mutant]:
    comments = [found.span() for found in COMMENT.finditer(source, start, end)]
    seen = {source}
    for pattern, others in RULES:
        for found in re.finditer(pattern.encode(), source[start:end]):
            at, until = start + found.start(), start + found.end()
            if any(first <= at < last for first, last in comments):
                continue
            for other in others:
                mutant = Mutant(path, at, until, _replacement(found, other))
                changed = mutant.apply(source)
                if changed not in seen and _is_whole(changed[start : end - len(source)]):
                    seen.add(changed)
                    yield mutant


def _is_whole(text: bytes) -> bool:
    """Whether it can be SQL still; what cannot be parsed shows nothing of any test."""
    return text.count(b"(") == text.count(b")") and not BROKEN.search(text)


def _replacement(found: "re.Match[bytes]", other: str) -> bytes:
    if other == "+1":
        return str(int(found[0]) + 1).encode()
    return found.expand(other.encode())
