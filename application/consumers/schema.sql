-- Consumers: how far each downstream service is, who reads for it now, and what waits for it.
-- Brings any earlier state of the schema to the present one; runs as the owner of the database.

CREATE SCHEMA IF NOT EXISTS consumers;

CREATE TABLE IF NOT EXISTS consumers.consumers (
    id            uuid        NOT NULL,
    company_id    uuid        NOT NULL,
    name          text,                  -- NULL: the one behind a webhook
    topics        text[],                -- NULL: all
    originator_id uuid,                  -- NULL: of all aggregates
    partitions    integer     NOT NULL,
    lease_seconds integer     NOT NULL,
    max_attempts  integer     NOT NULL,
    created_by    uuid        NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT consumers_pkey PRIMARY KEY (id),
    CONSTRAINT consumers_one_per_name UNIQUE (company_id, name)
);

-- A share of the aggregates, read by one at a time. Everything up to `position` is dealt with, but
-- for the sequences that are held. Whoever shows the `lease` before `leased_until` may move it;
-- without a `leased_until` the lease was given back.
CREATE TABLE IF NOT EXISTS consumers.partitions (
    consumer_id   uuid    NOT NULL,
    company_id    uuid    NOT NULL,
    partition     integer NOT NULL,
    position      bigint  NOT NULL,
    event_id      uuid,                  -- of the company's last event up to there
    lease         uuid,
    leased_until  timestamptz,
    owner         uuid,                  -- who was given the lease
    sequence      uuid,                  -- the held aggregate whose events were handed out, or NULL
    delivered     bigint  NOT NULL DEFAULT 0,  -- the last position handed out
    scanned       bigint  NOT NULL DEFAULT 0,  -- up to which there is nothing else to hand out
    CONSTRAINT partitions_pkey PRIMARY KEY (consumer_id, partition),
    CONSTRAINT partitions_consumer_fkey FOREIGN KEY (consumer_id)
        REFERENCES consumers.consumers (id) ON DELETE CASCADE
);

-- Aggregates of which an event was refused: their events above `position` wait, the others go on.
CREATE TABLE IF NOT EXISTS consumers.held (
    consumer_id   uuid        NOT NULL,
    company_id    uuid        NOT NULL,
    originator_id uuid        NOT NULL,
    position      bigint      NOT NULL,
    failed        bigint      NOT NULL,  -- the position of the event that was refused
    attempts      integer     NOT NULL,  -- to deal with that event
    error         text,
    retry_at      timestamptz NOT NULL,  -- infinity: parked, until somebody decides
    held_at       timestamptz NOT NULL,
    CONSTRAINT held_pkey PRIMARY KEY (consumer_id, originator_id),
    CONSTRAINT held_consumer_fkey FOREIGN KEY (consumer_id)
        REFERENCES consumers.consumers (id) ON DELETE CASCADE
);

SELECT event_store.isolate(name::regclass)
  FROM unnest(ARRAY['consumers.consumers', 'consumers.partitions', 'consumers.held']) AS name;

-- Which partition an aggregate belongs to: the last byte of its id decides.
CREATE OR REPLACE FUNCTION consumers.partition_of(originator_id uuid, partitions integer)
RETURNS integer LANGUAGE sql IMMUTABLE
RETURN get_byte(uuid_send(originator_id), 15) % partitions;

-- When a table is erased, so is what readers said of its events; as whoever appends, in its transaction.
CREATE OR REPLACE FUNCTION consumers.forget() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE consumers.held SET error = NULL
     WHERE company_id = NEW.company_id AND originator_id = NEW.originator_id;
    RETURN NULL;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger
                    WHERE tgrelid = 'event_store.events'::regclass
                      AND tgname = 'consumers_forget') THEN
        CREATE TRIGGER consumers_forget AFTER INSERT ON event_store.events
            FOR EACH ROW WHEN (NEW.topic LIKE '%.Erased') EXECUTE FUNCTION consumers.forget();
    END IF;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA consumers
  FROM PUBLIC, dynamic_tables_api, dynamic_tables_projector;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA consumers FROM PUBLIC;
GRANT USAGE ON SCHEMA consumers TO dynamic_tables_api, dynamic_tables_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA consumers
   TO dynamic_tables_api, dynamic_tables_projector;
GRANT USAGE ON SCHEMA consumers TO dynamic_tables_admin;
GRANT SELECT, UPDATE ON consumers.held TO dynamic_tables_admin;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA consumers TO dynamic_tables_api, dynamic_tables_projector;
