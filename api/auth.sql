-- Who may call: API keys, stored as hashes, and the secrets of this installation.

CREATE SCHEMA IF NOT EXISTS access;

CREATE TABLE IF NOT EXISTS access.api_keys (
    id           uuid        NOT NULL,
    company_id   uuid        NOT NULL,
    role         text        NOT NULL,
    label        text        NOT NULL,
    secret_hash  bytea       NOT NULL,  -- SHA-256
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id)
);

CREATE INDEX IF NOT EXISTS api_keys_by_company ON access.api_keys (company_id);

CREATE TABLE IF NOT EXISTS access.secrets (
    name  text  NOT NULL,
    value bytea NOT NULL,
    CONSTRAINT secrets_pkey PRIMARY KEY (name)
);

GRANT USAGE ON SCHEMA access TO dynamic_tables_api;
GRANT SELECT ON access.api_keys, access.secrets TO dynamic_tables_api;
GRANT UPDATE (last_used_at) ON access.api_keys TO dynamic_tables_api;
