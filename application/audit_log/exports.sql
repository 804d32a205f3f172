-- Exports of companies' logs that were asked for, and their bytes until they expire.
-- Brings any earlier state to the present one; runs as the owner of the database.

CREATE TABLE IF NOT EXISTS audit_log.exports (
    id             uuid        NOT NULL,
    company_id     uuid        NOT NULL,
    format         text        NOT NULL,            -- zip or csv
    first_position bigint      NOT NULL,
    last_position  bigint      NOT NULL,
    awaited_position bigint    NOT NULL DEFAULT 0,  -- of its last event when it was asked for
    status         text        NOT NULL DEFAULT 'waiting',  -- running, done or failed
    run            uuid,                            -- which attempt writes, or wrote, the chunks
    attempts       integer     NOT NULL DEFAULT 0,
    done_events    bigint      NOT NULL DEFAULT 0,
    all_events     bigint,
    size           bigint,
    sha256         bytea,
    error          text,
    requested_by   uuid        NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    finished_at    timestamptz,
    expires_at     timestamptz NOT NULL DEFAULT now() + interval '7 days',
    CONSTRAINT exports_pkey PRIMARY KEY (id)
);

CREATE TABLE IF NOT EXISTS audit_log.export_chunks (
    company_id uuid    NOT NULL,
    export_id  uuid    NOT NULL,
    number     integer NOT NULL,
    bytes      bytea   NOT NULL,  -- all but the last one equally many
    CONSTRAINT export_chunks_pkey PRIMARY KEY (export_id, number),
    CONSTRAINT export_chunks_export_fkey FOREIGN KEY (export_id)
        REFERENCES audit_log.exports (id) ON DELETE CASCADE
);

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = 'audit_log.exports'::regclass
                      AND attname = 'awaited_position') THEN
        ALTER TABLE audit_log.exports ADD COLUMN awaited_position bigint NOT NULL DEFAULT 0;
    END IF;
    IF to_regclass('audit_log.exports_by_company') IS NULL THEN
        CREATE INDEX exports_by_company ON audit_log.exports (company_id, id);
    END IF;
    IF EXISTS (SELECT FROM pg_attribute
                WHERE attrelid = 'audit_log.export_chunks'::regclass AND attname = 'bytes'
                  AND attstorage <> 'e') THEN
        ALTER TABLE audit_log.export_chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;
    END IF;
END
$$;

-- When a table is erased, no export that shows it stays, and none that is being made shows it: who
-- makes one begins anew, and whoever was about to begin waits. Before the events themselves are
-- erased, as whoever appends, in its transaction.
CREATE OR REPLACE FUNCTION audit_log.forget() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_log.export ' || NEW.company_id, 0));
    UPDATE audit_log.exports
       SET status = 'failed', size = NULL, sha256 = NULL, run = NULL,
           error = 'Something that it held was erased: ask for it again.'
     WHERE company_id = NEW.company_id AND status = 'done';
    UPDATE audit_log.exports SET status = 'waiting', run = NULL, attempts = 0
     WHERE company_id = NEW.company_id AND status = 'running';
    DELETE FROM audit_log.export_chunks WHERE company_id = NEW.company_id;
    RETURN NULL;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger
                    WHERE tgrelid = 'event_store.events'::regclass
                      AND tgname = 'exports_forget') THEN
        CREATE TRIGGER exports_forget AFTER INSERT ON event_store.events
            FOR EACH ROW WHEN (NEW.topic LIKE '%.Erased') EXECUTE FUNCTION audit_log.forget();
    END IF;
END
$$;

SELECT event_store.isolate(name::regclass)
  FROM unnest(ARRAY['audit_log.exports', 'audit_log.export_chunks']) AS name;

REVOKE ALL ON audit_log.exports, audit_log.export_chunks
  FROM PUBLIC, dynamic_tables_api, dynamic_tables_projector;
GRANT USAGE ON SCHEMA audit_log TO dynamic_tables_admin;
GRANT SELECT, UPDATE ON audit_log.exports TO dynamic_tables_admin;
GRANT SELECT, DELETE ON audit_log.export_chunks TO dynamic_tables_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_log.exports TO dynamic_tables_api;
GRANT SELECT, UPDATE, DELETE ON audit_log.exports TO dynamic_tables_projector;
GRANT SELECT, DELETE ON audit_log.export_chunks TO dynamic_tables_api;
GRANT SELECT, INSERT, DELETE ON audit_log.export_chunks TO dynamic_tables_projector;
