-- Webhooks: where events are sent, what became of each attempt, and what is to be sent again.
-- Brings any earlier state of the schema to the present one; runs as the owner of the database.

CREATE SCHEMA IF NOT EXISTS webhooks;

-- An address; the consumer of the same id knows what it wants, and how far it is.
CREATE TABLE IF NOT EXISTS webhooks.endpoints (
    id            uuid        NOT NULL,
    company_id    uuid        NOT NULL,
    url           text        NOT NULL,
    description   text,
    secret        bytea       NOT NULL,
    former_secret bytea,                           -- signs as well until then
    former_until  timestamptz,
    paused_at     timestamptz,
    paused_for    text,                            -- asked, gone, failed or rewound
    failures      integer     NOT NULL DEFAULT 0,  -- one after the other, of whatever events
    failed_at     timestamptz,                     -- attempts that began before count as one
    failed_of     uuid,                            -- the one aggregate that failed, NULL: several
    retry_at      timestamptz,                     -- nothing is sent before
    last_error    text,
    updated_by    uuid        NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT endpoints_pkey PRIMARY KEY (id),
    CONSTRAINT endpoints_consumer_fkey FOREIGN KEY (id)
        REFERENCES consumers.consumers (id) ON DELETE CASCADE
);

-- What became of each attempt; forgotten after a month.
CREATE TABLE IF NOT EXISTS webhooks.deliveries (
    id           uuid        NOT NULL,
    company_id   uuid        NOT NULL,
    endpoint_id  uuid        NOT NULL,
    event_id     uuid        NOT NULL,
    position     bigint      NOT NULL,
    topic        text        NOT NULL,
    replayed     boolean     NOT NULL,  -- sent again because somebody asked for it
    attempt      integer     NOT NULL,
    began_at     timestamptz NOT NULL,
    milliseconds integer     NOT NULL,
    status       integer,               -- NULL: there was no answer
    error        text,                  -- NULL: it was taken
    answer       text,                  -- how it began
    CONSTRAINT deliveries_pkey PRIMARY KEY (id),
    CONSTRAINT deliveries_endpoint_fkey FOREIGN KEY (endpoint_id)
        REFERENCES webhooks.endpoints (id) ON DELETE CASCADE
);

-- Events that somebody asked to have sent again: those above `position`, up to `until`.
CREATE TABLE IF NOT EXISTS webhooks.replays (
    id           uuid        NOT NULL,
    company_id   uuid        NOT NULL,
    endpoint_id  uuid        NOT NULL,
    position     bigint      NOT NULL,
    until        bigint      NOT NULL,
    attempts     integer     NOT NULL DEFAULT 0,
    retry_at     timestamptz,           -- also while somebody works on it
    requested_by uuid        NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT replays_pkey PRIMARY KEY (id),
    CONSTRAINT replays_endpoint_fkey FOREIGN KEY (endpoint_id)
        REFERENCES webhooks.endpoints (id) ON DELETE CASCADE
);

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = 'webhooks.endpoints'::regclass
                      AND attname = 'failed_of') THEN
        ALTER TABLE webhooks.endpoints ADD COLUMN failed_of uuid;
    END IF;
    IF to_regclass('webhooks.deliveries_by_endpoint') IS NULL THEN
        CREATE INDEX deliveries_by_endpoint ON webhooks.deliveries (endpoint_id, id);
    END IF;
    IF to_regclass('webhooks.deliveries_by_event') IS NULL THEN
        CREATE INDEX deliveries_by_event ON webhooks.deliveries (event_id);
    END IF;
    IF to_regclass('webhooks.deliveries_by_age') IS NULL THEN
        CREATE INDEX deliveries_by_age ON webhooks.deliveries (began_at);
    END IF;
    IF to_regclass('webhooks.replays_by_endpoint') IS NULL THEN
        CREATE INDEX replays_by_endpoint ON webhooks.replays (endpoint_id, id);
    END IF;
END
$$;

SELECT event_store.isolate(name::regclass)
  FROM unnest(ARRAY['webhooks.endpoints', 'webhooks.deliveries', 'webhooks.replays']) AS name;

-- When a table is erased, so is what receivers answered to its events; as consumers.forget().
CREATE OR REPLACE FUNCTION webhooks.forget() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE webhooks.deliveries SET answer = NULL
     WHERE answer IS NOT NULL
       AND event_id IN (SELECT event_id FROM event_store.events
                         WHERE originator_id = NEW.originator_id);
    RETURN NULL;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger
                    WHERE tgrelid = 'event_store.events'::regclass
                      AND tgname = 'webhooks_forget') THEN
        CREATE TRIGGER webhooks_forget AFTER INSERT ON event_store.events
            FOR EACH ROW WHEN (NEW.topic LIKE '%.Erased') EXECUTE FUNCTION webhooks.forget();
    END IF;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA webhooks
  FROM PUBLIC, dynamic_tables_api, dynamic_tables_projector;
GRANT USAGE ON SCHEMA webhooks TO dynamic_tables_api, dynamic_tables_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks.endpoints, webhooks.replays
   TO dynamic_tables_api, dynamic_tables_projector;
GRANT SELECT, DELETE ON webhooks.deliveries TO dynamic_tables_api;
GRANT USAGE ON SCHEMA webhooks TO dynamic_tables_admin;
GRANT SELECT, UPDATE ON webhooks.deliveries TO dynamic_tables_admin;
GRANT SELECT, INSERT, DELETE ON webhooks.deliveries TO dynamic_tables_projector;
