-- The companies, and their workspaces, as they are now.

CREATE TABLE companies (
    id          uuid         NOT NULL,
    name        varchar(255) NOT NULL,
    settings    jsonb        NOT NULL DEFAULT '{}',
    removed_at  timestamptz,
    created_by  uuid         NOT NULL,
    created_at  timestamptz  NOT NULL,
    updated_by  uuid         NOT NULL,
    updated_at  timestamptz  NOT NULL,
    version     integer      NOT NULL,
    position    bigint       NOT NULL,
    name_folded text COLLATE "C" NOT NULL,  -- sorts without case and accents
    CONSTRAINT companies_pkey PRIMARY KEY (id)
);

CREATE TABLE workspaces (
    aggregate_id uuid         NOT NULL,
    company_id   uuid         NOT NULL,
    id           uuid         NOT NULL,  -- the company's own; another may use the same
    name         varchar(255) NOT NULL,
    deleted_at   timestamptz,
    created_by   uuid         NOT NULL,
    created_at   timestamptz  NOT NULL,
    updated_by   uuid         NOT NULL,
    updated_at   timestamptz  NOT NULL,
    version      integer      NOT NULL,
    position     bigint       NOT NULL,
    name_folded  text COLLATE "C" NOT NULL,
    CONSTRAINT workspaces_pkey PRIMARY KEY (aggregate_id)
);

SELECT event_store.isolate('companies', 'id'), event_store.isolate('workspaces');
-- The platform's own reads name no company but say that they are the platform's.
CREATE POLICY platform ON companies FOR SELECT TO dynamic_tables_api
    USING ((SELECT current_setting('dynamic_tables.platform', true)) = 'on');
