-- The event store: an append-only table in one global order, and what is decided with each append.
-- Brings any earlier state of the schema to the present one; runs as the owner of the database.

CREATE SCHEMA IF NOT EXISTS event_store;

CREATE TABLE IF NOT EXISTS event_store.events (
    position           bigint      NOT NULL,
    company_id         uuid        NOT NULL,
    originator_id      uuid        NOT NULL,
    originator_version integer     NOT NULL,
    topic              text        NOT NULL,
    state              bytea,                 -- the exact bytes; NULL once erased
    salt               bytea,                 -- 16 random bytes for the audit log's commitments
    event_id           uuid        NOT NULL,
    recorded_at        timestamptz NOT NULL,  -- never decreases with position
    commitment         bytea,                 -- SHA-256 of salt and state, once they are erased
    CONSTRAINT events_pkey PRIMARY KEY (position),
    CONSTRAINT events_one_per_version UNIQUE (originator_id, originator_version),
    CONSTRAINT events_event_id_key UNIQUE (event_id)
);

-- Who holds which slug. Derived from the events, but exact at the moment of an append.
CREATE TABLE IF NOT EXISTS event_store.slugs (
    company_id uuid NOT NULL,
    slug       text NOT NULL,
    table_id   uuid NOT NULL,
    CONSTRAINT slugs_pkey PRIMARY KEY (company_id, slug)
);

-- Companies and workspaces: who others belong to, and whether anything may come alive in it.
CREATE TABLE IF NOT EXISTS event_store.containers (
    id         uuid    NOT NULL,
    company_id uuid    NOT NULL,
    live       boolean NOT NULL,
    CONSTRAINT containers_pkey PRIMARY KEY (id)
);

-- What belongs to which container, until it is purged; and since when it is alive in it, or was.
CREATE TABLE IF NOT EXISTS event_store.memberships (
    member_id    uuid   NOT NULL,
    company_id   uuid   NOT NULL,
    container_id uuid   NOT NULL,
    position     bigint NOT NULL,
    CONSTRAINT memberships_pkey PRIMARY KEY (member_id)
);

CREATE TABLE IF NOT EXISTS event_store.idempotency_keys (
    company_id    uuid        NOT NULL,
    key           text        NOT NULL,
    request_hash  text        NOT NULL,  -- empty once what came of the request is erased
    originator_id uuid        NOT NULL,
    version       integer     NOT NULL,
    position      bigint      NOT NULL,
    recorded_at   timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (company_id, key)
);

-- Up to which positions `migrate` has looked for tables without a membership: earlier releases wrote
-- none.
CREATE TABLE IF NOT EXISTS event_store.adopted (
    position bigint NOT NULL,
    CONSTRAINT adopted_pkey PRIMARY KEY (position)
);

-- The event types that any deployed release knows: tells a newer event from a broken one.
CREATE TABLE IF NOT EXISTS event_store.topics (
    topic         text    NOT NULL,
    class_version integer NOT NULL,
    CONSTRAINT topics_pkey PRIMARY KEY (topic, class_version)
);

-- Row-level security, the second belt: a transaction of the API sees the companies that it names, for
-- as long as it lasts. Who acts for all of them, says so by its role. Nobody else sees anything, not
-- even the owner. `IS TRUE`: a check of each row, for which no index is looked through; a table that
-- has no statistics yet would seem to hold few rows of a company. Asked first, because ALTER waits for
-- everybody who reads the table.
CREATE OR REPLACE FUNCTION event_store.isolate(target regclass, company name DEFAULT 'company_id')
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (SELECT relforcerowsecurity FROM pg_class WHERE oid = target) THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE POLICY named_companies ON %s TO dynamic_tables_api USING ((%I = ANY ((
             SELECT NULLIF(current_setting(''dynamic_tables.companies'', true), '''')::uuid[]
         )::uuid[])) IS TRUE)', target, company);
    EXECUTE format(
        'CREATE POLICY every_company ON %s TO dynamic_tables_projector, dynamic_tables_admin
             USING (true)', target);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', target);
END
$$;

SELECT event_store.isolate(name::regclass)
  FROM unnest(ARRAY['event_store.events', 'event_store.slugs', 'event_store.idempotency_keys',
                    'event_store.containers', 'event_store.memberships']) AS name;

CREATE OR REPLACE FUNCTION event_store.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'event_store.events is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

-- The one change that an event can see: what it said is erased, what it committed to is kept.
CREATE OR REPLACE FUNCTION event_store.allow_erasure() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    erased event_store.events := OLD;
BEGIN
    erased.commitment := sha256(coalesce(OLD.salt, '') || OLD.state);
    erased.salt := NULL;
    erased.state := NULL;
    IF OLD.state IS NULL OR NEW IS DISTINCT FROM erased THEN
        RAISE EXCEPTION 'event_store.events is append-only'
              USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;

-- Only what is missing: even `IF NOT EXISTS` and `OR REPLACE` would wait for every writer, and for a
-- VACUUM, and let new writers wait meanwhile, at each start of a process.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = 'event_store.events'::regclass AND attname = 'commitment') THEN
        ALTER TABLE event_store.events ADD COLUMN commitment bytea;
    END IF;
    IF to_regclass('event_store.events_by_company') IS NULL THEN
        CREATE INDEX events_by_company ON event_store.events (company_id, position);
    END IF;
    IF to_regclass('event_store.memberships_by_container') IS NULL THEN
        CREATE INDEX memberships_by_container ON event_store.memberships (container_id, member_id);
    END IF;
    IF to_regclass('event_store.idempotency_keys_by_age') IS NULL THEN
        CREATE INDEX idempotency_keys_by_age ON event_store.idempotency_keys (recorded_at);
    END IF;
    IF to_regclass('event_store.idempotency_keys_by_originator') IS NULL THEN
        CREATE INDEX idempotency_keys_by_originator
            ON event_store.idempotency_keys (originator_id);
    END IF;
    -- As if there were many companies of much the same size: with few, the planner would look for the
    -- events of a small one among those of all.
    IF NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = 'event_store.events'::regclass AND attname = 'company_id'
                      AND attoptions IS NOT NULL) THEN
        ALTER TABLE event_store.events ALTER COLUMN company_id SET (n_distinct = 1000);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_trigger
                    WHERE tgrelid = 'event_store.events'::regclass
                      AND tgname = 'events_are_only_erased') THEN
        DROP TRIGGER IF EXISTS events_are_append_only ON event_store.events;
        CREATE TRIGGER events_are_append_only
            BEFORE DELETE OR TRUNCATE ON event_store.events
            FOR EACH STATEMENT EXECUTE FUNCTION event_store.refuse_change();
        CREATE TRIGGER events_are_only_erased
            BEFORE UPDATE ON event_store.events
            FOR EACH ROW EXECUTE FUNCTION event_store.allow_erasure();
    END IF;
END
$$;

-- Appends a batch of commands in one transaction and answers for each apart. An event that erases what
-- was before it does so here; other copies are emptied by triggers on it, in the same transaction.
--
-- commands: [{"command": 0, "company_id", "originator_id", "expected_version", "position",
--             "claim", "release", "joins", "leaves", "opens", "key", "request_hash", "dry_run"}]
-- events:   [{"command": 0, "version", "topic", "state", "salt", "event_id"}]
--
-- The caller puts at most one command per aggregate, slug and idempotency key into a batch, and
-- nothing that joins a container with what opens or closes it, so the checks, made once under the
-- lock, hold for the whole batch. The lock is a statement of its own:
-- under READ COMMITTED the next statement's snapshot then sees what the last holder committed.
CREATE OR REPLACE FUNCTION event_store.append(commands jsonb, events jsonb)
RETURNS TABLE (
    command integer, outcome text, originator_id uuid, version integer,
    "position" bigint, recorded_at timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- One plan for every batch: look up what it names by index, however large the tables are.
SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    head bigint;
    moment timestamptz;
    last bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('event_store.append', 0));

    SELECT e.position, e.recorded_at INTO head, moment
      FROM event_store.events e ORDER BY e.position DESC LIMIT 1;
    head := coalesce(head, 0);
    moment := greatest(moment, clock_timestamp());

    RETURN QUERY
    WITH verdict AS MATERIALIZED (
        SELECT c.*,
               CASE
                   WHEN k.request_hash IN (c.request_hash, '') THEN 'replayed'
                   WHEN k.request_hash IS NOT NULL THEN 'key-reused'
                   WHEN coalesce(v.version, 0) <> c.expected_version
                        OR v.company_id <> c.company_id
                        OR c.position > 0 AND v.position <> c.position THEN 'conflict'
                   WHEN w.live IS NULL AND c.joins <> c.company_id THEN 'container-unknown'
                   WHEN NOT w.live THEN 'container-closed'
                   WHEN s.table_id <> c.originator_id THEN 'slug-taken'
                   ELSE 'accepted'
               END AS outcome,
               k.originator_id AS key_originator_id, k.version AS key_version,
               k.position AS key_position, k.recorded_at AS key_recorded_at,
               v.version AS actual_version, s.table_id AS holder_id
          FROM jsonb_to_recordset(commands) AS c(
                   command integer, company_id uuid, originator_id uuid, expected_version integer,
                   position bigint, claim text, release text, joins uuid, leaves boolean,
                   opens boolean, key text, request_hash text, dry_run boolean)
          LEFT JOIN event_store.idempotency_keys k
            ON k.company_id = c.company_id AND k.key = c.key
          LEFT JOIN event_store.slugs s
            ON s.company_id = c.company_id AND s.slug = c.claim
          LEFT JOIN event_store.containers w
            ON w.id = c.joins AND w.company_id = c.company_id
          LEFT JOIN LATERAL (
                   SELECT e.originator_version AS version, e.company_id, e.position
                     FROM event_store.events e
                    WHERE e.originator_id = c.originator_id
                    ORDER BY e.originator_version DESC LIMIT 1) v ON true
    ),
    accepted AS MATERIALIZED (
        SELECT v.command, v.company_id, v.originator_id, e.version, e.topic, e.state, e.salt,
               e.event_id, head + row_number() OVER (ORDER BY e.command, e.version) AS position
          FROM verdict v
          JOIN jsonb_to_recordset(events) AS e(
                   command integer, version integer, topic text, state text, salt text,
                   event_id uuid) USING (command)
         WHERE v.outcome = 'accepted' AND NOT v.dry_run
    ),
    appended AS (
        INSERT INTO event_store.events (
                   position, company_id, originator_id, originator_version, topic, state, salt,
                   event_id, recorded_at)
        SELECT a.position, a.company_id, a.originator_id, a.version, a.topic,
               convert_to(a.state, 'UTF8'), decode(a.salt, 'hex'), a.event_id, moment
          FROM accepted a ORDER BY a.position
    ),
    released AS (
        DELETE FROM event_store.slugs s USING verdict v
         WHERE v.outcome = 'accepted' AND NOT v.dry_run
           AND s.company_id = v.company_id AND s.slug = v.release AND s.table_id = v.originator_id
           AND v.release IS DISTINCT FROM v.claim
    ),
    claimed AS (
        INSERT INTO event_store.slugs (company_id, slug, table_id)
        SELECT v.company_id, v.claim, v.originator_id
          FROM verdict v
         WHERE v.outcome = 'accepted' AND NOT v.dry_run AND v.claim IS NOT NULL
           AND v.holder_id IS NULL
    ),
    result AS MATERIALIZED (
        SELECT v.*, coalesce(a.version, v.expected_version) AS new_version,
               coalesce(a.position, v.position) AS new_position
          FROM verdict v
          LEFT JOIN (SELECT command, max(version) AS version, max(position) AS position
                       FROM accepted GROUP BY command) a USING (command)
    ),
    joined AS (
        INSERT INTO event_store.memberships (member_id, company_id, container_id, position)
        SELECT r.originator_id, r.company_id, r.joins, r.new_position
          FROM result r
         WHERE r.outcome = 'accepted' AND NOT r.dry_run AND r.joins IS NOT NULL
            ON CONFLICT (member_id)
            DO UPDATE SET container_id = excluded.container_id, position = excluded.position
    ),
    left_for_ever AS (
        DELETE FROM event_store.memberships m USING verdict v
         WHERE v.outcome = 'accepted' AND NOT v.dry_run AND v.leaves
           AND m.member_id = v.originator_id
    ),
    opened AS (
        INSERT INTO event_store.containers (id, company_id, live)
        SELECT v.originator_id, v.company_id, v.opens
          FROM verdict v
         WHERE v.outcome = 'accepted' AND NOT v.dry_run AND v.opens IS NOT NULL
            ON CONFLICT (id) DO UPDATE SET live = excluded.live
    ),
    remembered AS (
        INSERT INTO event_store.idempotency_keys (
                   company_id, key, request_hash, originator_id, version, position, recorded_at)
        SELECT r.company_id, r.key, r.request_hash, r.originator_id, r.new_version,
               r.new_position, moment
          FROM result r
         WHERE r.outcome = 'accepted' AND NOT r.dry_run AND r.key IS NOT NULL
    )
    SELECT r.command, r.outcome,
           CASE r.outcome WHEN 'replayed' THEN r.key_originator_id
                          WHEN 'slug-taken' THEN r.holder_id
                          WHEN 'container-unknown' THEN r.joins
                          WHEN 'container-closed' THEN r.joins ELSE r.originator_id END,
           CASE r.outcome WHEN 'replayed' THEN r.key_version
                          WHEN 'conflict' THEN coalesce(r.actual_version, 0)
                          ELSE r.new_version END,
           CASE r.outcome WHEN 'replayed' THEN r.key_position ELSE r.new_position END,
           CASE r.outcome WHEN 'replayed' THEN r.key_recorded_at ELSE moment END
      FROM result r ORDER BY r.command;

    IF events @? '$[*].topic ? (@ like_regex "[.]Erased$")' THEN
        UPDATE event_store.events e
           SET commitment = sha256(coalesce(e.salt, '') || e.state), salt = NULL, state = NULL
          FROM event_store.events erased
         WHERE erased.position > head AND erased.topic LIKE '%.Erased'
           AND e.originator_id = erased.originator_id
           AND e.originator_version < erased.originator_version AND e.state IS NOT NULL;
        UPDATE event_store.idempotency_keys k
           SET request_hash = ''
          FROM event_store.events erased
         WHERE erased.position > head AND erased.topic LIKE '%.Erased'
           AND k.originator_id = erased.originator_id AND k.position < erased.position;
    END IF;

    SELECT e.position INTO last FROM event_store.events e ORDER BY e.position DESC LIMIT 1;
    IF last > head THEN
        PERFORM pg_notify('dynamic_tables_events', last::text);
    END IF;
END
$$;

-- What became of a batch whose acknowledgement was lost with the connection to `lost_backend`. That
-- backend may not even have begun, but it ends once it has done what was sent to it: wait for that,
-- a second at most, as it may hang in a broken network; then, under the lock, for its transaction.
--
-- commands: [{"command": 0, "company_id", "key", "request_hash", "event_id"}], the last event of each command
CREATE OR REPLACE FUNCTION event_store.resolve(commands jsonb, lost_backend integer)
RETURNS TABLE (
    command integer, originator_id uuid, version integer, "position" bigint,
    recorded_at timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    FOR attempt IN 1..100 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = lost_backend);
        PERFORM pg_sleep(0.01);
    END LOOP;
    PERFORM pg_advisory_xact_lock(hashtextextended('event_store.append', 0));
    RETURN QUERY
    SELECT c.command, e.originator_id, e.originator_version, e.position, e.recorded_at
      FROM jsonb_to_recordset(commands) AS c(command integer, event_id uuid)
      JOIN event_store.events e ON e.event_id = c.event_id
    UNION ALL
    SELECT c.command, k.originator_id, k.version, k.position, k.recorded_at
      FROM jsonb_to_recordset(commands) AS c(
               command integer, company_id uuid, key text, request_hash text, event_id uuid)
      JOIN event_store.idempotency_keys k
        ON k.company_id = c.company_id AND k.key = c.key
       AND k.request_hash IN (c.request_hash, '')
     WHERE c.event_id IS NULL;
END
$$;

-- The last position of all companies together, for those who may not see their events.
CREATE OR REPLACE FUNCTION event_store.head() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
RETURN (SELECT coalesce(max(position), 0) FROM event_store.events);

-- The last position before a moment, 0 = none: moments and positions have the same order.
CREATE OR REPLACE FUNCTION event_store.position_before(moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before bigint := 0;
    after bigint := event_store.head() + 1;
    middle bigint;
BEGIN
    WHILE after - before > 1 LOOP
        middle := before + (after - before) / 2;
        IF (SELECT recorded_at < moment FROM event_store.events WHERE position = middle) THEN
            before := middle;
        ELSE
            after := middle;
        END IF;
    END LOOP;
    RETURN before;
END
$$;

-- Whether nothing can be recorded any more at a moment or before it; NULL: it is still to come. An
-- append takes its moment before it can be seen: it is over when a later one is seen, or none is
-- under way.
CREATE OR REPLACE FUNCTION event_store.is_over(moment timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF moment >= clock_timestamp() THEN
        RETURN NULL;
    END IF;
    RETURN coalesce((SELECT e.recorded_at > moment
                       FROM event_store.events e ORDER BY e.position DESC LIMIT 1), false)
        OR pg_try_advisory_xact_lock_shared(hashtextextended('event_store.append', 0));
END
$$;

-- The table as the event-sourcing library's own recorder names it, for its tools.
CREATE OR REPLACE VIEW event_store.dynamic_tables_events AS
SELECT originator_id, originator_version::bigint, topic, state, position AS notification_id
  FROM event_store.events;

-- The table for people with SQL: what happened, by whom, with the JSON decoded. `table_id` is the
-- aggregate, which may also be a workspace or a company.
CREATE OR REPLACE VIEW event_store.readable_events AS
SELECT position, recorded_at, company_id, originator_id AS table_id,
       originator_version AS version, topic, event_id,
       (json ->> 'occurredAt')::timestamptz AS occurred_at,
       json -> 'data' AS data, json -> 'metadata' AS metadata
  FROM (SELECT *, convert_from(state, 'UTF8')::jsonb AS json FROM event_store.events) AS decoded;

REVOKE ALL ON ALL TABLES IN SCHEMA event_store
  FROM PUBLIC, dynamic_tables_api, dynamic_tables_projector;
REVOKE ALL ON event_store.events, event_store.slugs, event_store.idempotency_keys,
              event_store.containers, event_store.memberships, event_store.adopted,
              event_store.topics
  FROM dynamic_tables_admin;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA event_store FROM PUBLIC;
GRANT USAGE ON SCHEMA event_store
   TO dynamic_tables_api, dynamic_tables_projector, dynamic_tables_admin;
GRANT SELECT ON event_store.events, event_store.slugs, event_store.idempotency_keys,
                event_store.containers, event_store.memberships
   TO dynamic_tables_api, dynamic_tables_projector, dynamic_tables_admin;
GRANT INSERT, UPDATE (state, salt, commitment) ON event_store.events TO dynamic_tables_admin;
GRANT INSERT, UPDATE, DELETE ON event_store.slugs, event_store.idempotency_keys,
                                event_store.containers, event_store.memberships
   TO dynamic_tables_admin;
GRANT SELECT ON event_store.topics TO dynamic_tables_projector;
GRANT DELETE ON event_store.idempotency_keys TO dynamic_tables_projector;
GRANT EXECUTE ON FUNCTION event_store.append(jsonb, jsonb), event_store.resolve(jsonb, integer)
   TO dynamic_tables_api, dynamic_tables_projector;
GRANT EXECUTE ON FUNCTION event_store.head() TO dynamic_tables_api, dynamic_tables_projector;
GRANT EXECUTE ON FUNCTION event_store.position_before(timestamptz),
                          event_store.is_over(timestamptz) TO dynamic_tables_api;
GRANT EXECUTE ON FUNCTION event_store.isolate(regclass, name) TO dynamic_tables_projector;

-- Functions and views that act for all companies belong to the role that may.
DO $$
DECLARE
    ours text;
BEGIN
    GRANT CREATE ON SCHEMA event_store TO dynamic_tables_admin;
    FOR ours IN
        SELECT 'FUNCTION ' || oid::regprocedure FROM pg_proc
         WHERE pronamespace = 'event_store'::regnamespace AND prosecdef
           AND proowner <> 'dynamic_tables_admin'::regrole
         UNION ALL
        SELECT 'VIEW ' || oid::regclass FROM pg_class
         WHERE relnamespace = 'event_store'::regnamespace AND relkind = 'v'
           AND relowner <> 'dynamic_tables_admin'::regrole
    LOOP
        EXECUTE format('ALTER %s OWNER TO dynamic_tables_admin', ours);
    END LOOP;
    REVOKE CREATE ON SCHEMA event_store FROM dynamic_tables_admin;
END
$$;
