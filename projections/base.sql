-- How far each projection is, and what it could not project. Runs as the projector's role.

CREATE SCHEMA IF NOT EXISTS projections;

CREATE TABLE IF NOT EXISTS projections.positions (
    projection text   NOT NULL,  -- the schema of its tables
    position   bigint NOT NULL,
    CONSTRAINT positions_pkey PRIMARY KEY (projection)
);

-- Counts who moved the position, leader after leader and rebuild after rebuild: only the newest may.
-- Asked first, because ALTER would wait for everybody who reads the table, and stop those behind.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = 'projections.positions'::regclass AND attname = 'term') THEN
        ALTER TABLE projections.positions ADD COLUMN term bigint NOT NULL DEFAULT 0;
    END IF;
END
$$;

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
-- What an error says of an event may be of any company.
REVOKE ALL ON projections.parked FROM dynamic_tables_api;
GRANT SELECT ON projections.positions TO dynamic_tables_api;
GRANT SELECT (projection) ON projections.parked TO dynamic_tables_api;
