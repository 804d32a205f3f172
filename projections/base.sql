-- How far each projection is, and what it could not project. Runs as the projector's role.

CREATE SCHEMA IF NOT EXISTS projections;

CREATE TABLE IF NOT EXISTS projections.positions (
    projection text   NOT NULL,  -- the schema of its tables
    position   bigint NOT NULL,
    CONSTRAINT positions_pkey PRIMARY KEY (projection)
);

-- Aggregates whose events from this position on wait for a release that can project them.
CREATE TABLE IF NOT EXISTS projections.parked (
    projection    text        NOT NULL,
    originator_id uuid        NOT NULL,
    position      bigint      NOT NULL,
    error         text        NOT NULL,
    parked_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT parked_pkey PRIMARY KEY (projection, originator_id)
);

GRANT USAGE ON SCHEMA projections TO dynamic_tables_api;
GRANT SELECT ON projections.positions, projections.parked TO dynamic_tables_api;
