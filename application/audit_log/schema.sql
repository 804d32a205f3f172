-- The tamper-evident log: the Merkle tree of each company's events, and its last signed head.
-- Brings any earlier state of the schema to the present one; runs as the owner of the database.

CREATE SCHEMA IF NOT EXISTS audit_log;

-- The tree as https://c2sp.org/tlog-tiles cuts it: level 0 holds leaf hashes, 256 to a tile, each
-- level above the roots of the full tiles below. The last tile of a level may be partial.
CREATE TABLE IF NOT EXISTS audit_log.tiles (
    company_id    uuid     NOT NULL,
    level         smallint NOT NULL,
    index         bigint   NOT NULL,
    last_position bigint,             -- of its last event; NULL above level 0
    hashes        bytea    NOT NULL,  -- 32 bytes each
    CONSTRAINT tiles_pkey PRIMARY KEY (company_id, level, index)
);

-- What was last signed for a company: nothing that does not extend it is ever signed. Survives
-- whatever becomes of the tiles.
CREATE TABLE IF NOT EXISTS audit_log.heads (
    company_id uuid        NOT NULL,
    size       bigint      NOT NULL,
    root       bytea       NOT NULL,
    note       text        NOT NULL,
    key_id     text        NOT NULL,  -- of the key that signed it
    handover   text,                  -- the last head that a key and its successor both signed
    signed_at  timestamptz NOT NULL,
    refused    text,                  -- why no further head is signed
    refused_at timestamptz,
    CONSTRAINT heads_pkey PRIMARY KEY (company_id)
);

-- Who signs: the newest that is not retired.
CREATE TABLE IF NOT EXISTS audit_log.keys (
    number      bigint      GENERATED ALWAYS AS IDENTITY,
    name        text        NOT NULL,
    key_id      text        NOT NULL,  -- four bytes in hex
    public_key  bytea       NOT NULL,
    private_key bytea,                 -- NULL: in a file, or retired
    created_at  timestamptz NOT NULL DEFAULT now(),
    retired_at  timestamptz,
    CONSTRAINT keys_pkey PRIMARY KEY (name, key_id)
);

-- Up to which position tiles are built; `builds` counts how often from zero.
CREATE TABLE IF NOT EXISTS audit_log.progress (
    id       boolean NOT NULL DEFAULT true CHECK (id),
    position bigint  NOT NULL DEFAULT 0,
    builds   bigint  NOT NULL DEFAULT 1,
    CONSTRAINT progress_pkey PRIMARY KEY (id)
);

INSERT INTO audit_log.progress (id) VALUES (true) ON CONFLICT DO NOTHING;

-- Hashes do not compress. `signed_position`: up to which position everything is signed, or refused.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = 'audit_log.progress'::regclass
                      AND attname = 'signed_position') THEN
        ALTER TABLE audit_log.progress ADD COLUMN signed_position bigint NOT NULL DEFAULT 0;
    END IF;
    IF to_regclass('audit_log.heads_refused') IS NULL THEN
        CREATE INDEX heads_refused ON audit_log.heads (company_id) WHERE refused IS NOT NULL;
    END IF;
    IF to_regclass('audit_log.tiles_by_position') IS NULL THEN
        CREATE INDEX tiles_by_position ON audit_log.tiles (company_id, last_position)
         WHERE level = 0;
    END IF;
    IF EXISTS (SELECT FROM pg_attribute
                WHERE attrelid = 'audit_log.tiles'::regclass AND attname = 'hashes'
                  AND attstorage <> 'e') THEN
        ALTER TABLE audit_log.tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
    END IF;
END
$$;

SELECT event_store.isolate(name::regclass)
  FROM unnest(ARRAY['audit_log.tiles', 'audit_log.heads']) AS name;

-- How far the log is, for those who may not see whose it is: up to which position everything is
-- signed, since when the first event beyond waits, and of how many companies no head is signed.
CREATE OR REPLACE FUNCTION audit_log.standing(
    OUT signed bigint, OUT waits_since timestamptz, OUT refused bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
SELECT p.signed_position,
       (SELECT e.recorded_at FROM event_store.events e
         WHERE e.position > p.signed_position
         ORDER BY e.position LIMIT 1),
       (SELECT count(*) FROM audit_log.heads h WHERE h.refused IS NOT NULL)
  FROM audit_log.progress p;
END;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_proc
                WHERE oid = 'audit_log.standing()'::regprocedure
                  AND proowner <> 'dynamic_tables_admin'::regrole) THEN
        GRANT CREATE ON SCHEMA audit_log TO dynamic_tables_admin;
        ALTER FUNCTION audit_log.standing() OWNER TO dynamic_tables_admin;
        REVOKE CREATE ON SCHEMA audit_log FROM dynamic_tables_admin;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION audit_log.standing() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_log.standing() TO dynamic_tables_api, dynamic_tables_projector;
REVOKE ALL ON ALL TABLES IN SCHEMA audit_log
  FROM PUBLIC, dynamic_tables_api, dynamic_tables_projector;
GRANT USAGE ON SCHEMA audit_log TO dynamic_tables_api, dynamic_tables_projector;
GRANT SELECT ON audit_log.tiles, audit_log.heads, audit_log.progress TO dynamic_tables_api;
GRANT SELECT ON audit_log.heads, audit_log.progress TO dynamic_tables_admin;
GRANT SELECT (number, name, key_id, public_key, created_at, retired_at) ON audit_log.keys
   TO dynamic_tables_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_log.tiles TO dynamic_tables_projector;
GRANT SELECT, INSERT, UPDATE ON audit_log.heads, audit_log.keys TO dynamic_tables_projector;
GRANT SELECT, UPDATE ON audit_log.progress TO dynamic_tables_projector;
