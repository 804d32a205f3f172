-- Who may call: API keys and browser sessions, stored as hashes; the directory of names; secrets.

CREATE SCHEMA IF NOT EXISTS access;

CREATE TABLE IF NOT EXISTS access.api_keys (
    id           uuid        NOT NULL,
    company_id   uuid,                  -- NULL: the platform's
    role         text,                  -- NULL: just these scopes
    label        text        NOT NULL,
    secret_hash  bytea       NOT NULL,  -- SHA-256
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id)
);

-- Asked first, because ALTER waits for everybody who reads the table, and stops those behind.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = 'access.api_keys'::regclass AND attname = 'scopes') THEN
        ALTER TABLE access.api_keys
            ADD COLUMN scopes text[], ADD COLUMN created_by uuid, ADD COLUMN revoked_by uuid,
            ADD COLUMN retires_at timestamptz,  -- when another has taken its place
            ALTER COLUMN company_id DROP NOT NULL, ALTER COLUMN role DROP NOT NULL;
    END IF;
END
$$;

-- A browser that signed in with a key. Its cookie holds the id, signed.
CREATE TABLE IF NOT EXISTS access.sessions (
    id         uuid        NOT NULL,
    company_id uuid,
    key_id     uuid        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz,
    CONSTRAINT sessions_pkey PRIMARY KEY (id)
);

-- Links that sign somebody in, once.
CREATE TABLE IF NOT EXISTS access.sign_in_codes (
    code_hash  bytea       NOT NULL,  -- SHA-256
    key_id     uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT sign_in_codes_pkey PRIMARY KEY (code_hash)
);

-- What people and keys are called. Events have their ids alone, so that a name can be erased.
CREATE TABLE IF NOT EXISTS access.people (
    company_id  uuid        NOT NULL,
    id          uuid        NOT NULL,
    kind        text        NOT NULL,  -- user or key
    name        text,                  -- NULL once erased
    name_folded text COLLATE "C" NOT NULL,
    erased_at   timestamptz,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT people_pkey PRIMARY KEY (company_id, id)
);

-- Only what is missing: `IF NOT EXISTS` would wait for every writer, and stop those behind.
DO $$
BEGIN
    IF to_regclass('access.api_keys_by_age') IS NULL THEN
        CREATE INDEX api_keys_by_age ON access.api_keys (company_id, created_at, id);
        DROP INDEX IF EXISTS access.api_keys_by_company;  -- of the first release
    END IF;
    IF to_regclass('access.people_by_name') IS NULL THEN
        CREATE INDEX people_by_name
            ON access.people (company_id, (erased_at IS NOT NULL), name_folded, id);
    END IF;
END
$$;

CREATE TABLE IF NOT EXISTS access.secrets (
    name  text  NOT NULL,
    value bytea NOT NULL,
    CONSTRAINT secrets_pkey PRIMARY KEY (name)
);

SELECT event_store.isolate(name::regclass)
  FROM unnest(ARRAY['access.api_keys', 'access.sessions', 'access.people']) AS name;

-- Who comes with a key does not say of which company it is: these find it, by id alone.
CREATE OR REPLACE FUNCTION access.find_keys(ids uuid[])
RETURNS TABLE (
    id uuid, company_id uuid, role text, scopes text[], label text, secret_hash bytea,
    expires_at timestamptz, revoked_at timestamptz, not_seen_lately boolean,
    company_removed boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
SELECT k.id, k.company_id, k.role, k.scopes, k.label, k.secret_hash,
       least(k.expires_at, k.retires_at), k.revoked_at,
       k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute',
       coalesce(NOT c.live, false)
  FROM access.api_keys k LEFT JOIN event_store.containers c ON c.id = k.company_id
 WHERE k.id = ANY (ids)
$$;

CREATE OR REPLACE FUNCTION access.find_sessions(ids uuid[])
RETURNS TABLE (id uuid, key_id uuid, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
SELECT s.id, s.key_id, s.expires_at
  FROM access.sessions s
 WHERE s.id = ANY (ids) AND s.ended_at IS NULL
$$;

CREATE OR REPLACE FUNCTION access.note_use(ids uuid[]) RETURNS SETOF uuid
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
UPDATE access.api_keys k SET last_used_at = now()
 WHERE k.id = ANY (ids)
   AND (k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute')
RETURNING k.id
$$;

-- Begins a session for a key whose secret or link was shown; forgets those that ended long ago.
CREATE OR REPLACE FUNCTION access.begin_session(session uuid, key uuid, hours double precision)
RETURNS timestamptz
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DELETE FROM access.sessions WHERE expires_at < now() - interval '1 day';
INSERT INTO access.sessions (id, company_id, key_id, expires_at)
SELECT session, k.company_id, k.id,
       least(k.expires_at, k.retires_at, now() + make_interval(secs => hours * 3600))
  FROM access.api_keys k
 WHERE k.id = key
RETURNING expires_at
$$;

CREATE OR REPLACE FUNCTION access.end_session(session uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
UPDATE access.sessions SET ended_at = now() WHERE id = session AND ended_at IS NULL
$$;

-- The key that a link signs in with; whoever asks again, asks in vain.
CREATE OR REPLACE FUNCTION access.use_sign_in_code(hash bytea) RETURNS uuid
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
WITH used AS (
    DELETE FROM access.sign_in_codes WHERE code_hash = hash OR expires_at < now()
    RETURNING code_hash, key_id, expires_at
)
SELECT key_id FROM used WHERE code_hash = hash AND expires_at >= now()
$$;

-- Remembers the idempotency key of a command without events in the caller's transaction, and tells
-- who it made; or what the same request made before. A second one waits for the first.
CREATE OR REPLACE FUNCTION access.remember(
    company uuid, idempotency_key text, hash text, made uuid
) RETURNS TABLE (request_hash text, made_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF current_setting('dynamic_tables.companies', true) IS DISTINCT FROM '{' || company || '}' THEN
        RAISE EXCEPTION 'not in the name of this company' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO event_store.idempotency_keys (
        company_id, key, request_hash, originator_id, version, position, recorded_at)
    VALUES (company, idempotency_key, hash, made, 0, 0, clock_timestamp())
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    SELECT k.request_hash, k.originator_id
      FROM event_store.idempotency_keys k
     WHERE k.company_id = company AND k.key = idempotency_key;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA access FROM PUBLIC, dynamic_tables_api, dynamic_tables_admin;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA access FROM PUBLIC, dynamic_tables_api;
GRANT USAGE ON SCHEMA access TO dynamic_tables_api, dynamic_tables_admin;
GRANT SELECT ON access.api_keys, access.people, access.secrets TO dynamic_tables_api;
GRANT INSERT ON access.api_keys, access.people TO dynamic_tables_api;
GRANT UPDATE (label, retires_at, revoked_at, revoked_by) ON access.api_keys TO dynamic_tables_api;
GRANT UPDATE ON access.people TO dynamic_tables_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA access TO dynamic_tables_admin;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA access TO dynamic_tables_api;

DO $$
DECLARE
    ours regprocedure;
BEGIN
    GRANT CREATE ON SCHEMA access TO dynamic_tables_admin;
    FOR ours IN
        SELECT oid FROM pg_proc
         WHERE pronamespace = 'access'::regnamespace
           AND proowner <> 'dynamic_tables_admin'::regrole
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO dynamic_tables_admin', ours);
    END LOOP;
    REVOKE CREATE ON SCHEMA access FROM dynamic_tables_admin;
END
$$;
