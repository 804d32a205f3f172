"""What `verify` says, in words: what was found, what it rests on, and what it does not prove."""

from application.audit_log.verify import ALTERED, SOUND, Report

NOT_PROVED = """\
This does not prove:
- that what was recorded is true;
- that nothing was left unrecorded;
- anything after the last checkpoint that somebody else has kept;
- anything against a holder of the signer's key who also controls every kept checkpoint."""
LONGEST = 1_000  # characters of a line; an archive may say anything


def text(report: Report) -> str:
    """The report as lines."""
    lines = [_verdict(report), *_facts(report)]
    lines += [f"ALTERED: {each}" for each in report.problems]
    if report.status != ALTERED:
        lines += [f"It rests on this: {each}." for each in report.anchors]
    lines += [f"Note: {each}." for each in report.remarks]
    return "\n".join([*map(_safe, lines), NOT_PROVED])


def _verdict(report: Report) -> str:
    if report.status == ALTERED:
        return f"{report.path}: ALTERED"
    if report.status == SOUND:
        return f"{report.path}: sound"
    return (
        f"{report.path}: sound, but it rests on nothing that you gave: whoever altered it may have"
        " replaced the keys in it, too. Give --public-key or --checkpoint"
    )


def _facts(report: Report) -> list[str]:
    manifest = report.manifest
    if manifest is None:
        return []
    begin, end = manifest.range.from_index, manifest.range.to_index
    which = f"events {begin} to {end - 1}" if end > begin else "no events"
    erased = f", {manifest.erased} of them erased" if manifest.erased else ""
    positions = ""
    if manifest.range.from_position:
        positions = f" (positions {manifest.range.from_position} to {manifest.range.to_position})"
    of = f"of the {manifest.tree.size}{positions}{erased} of company {manifest.company_id}"
    return [f"It says to hold {which} {of}."]


def _safe(line: str) -> str:
    """Nothing that an archive says reaches the terminal as a command to it."""
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
