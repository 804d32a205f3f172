"""How events are kept: one Postgres table in one global order, written in groups."""
