-- The present state of every table definition that was not purged.

CREATE TABLE table_defs (
    id            uuid         NOT NULL,
    company_id    uuid         NOT NULL,
    workspace_id  uuid,
    name          varchar(255) NOT NULL,
    slug          varchar(255) NOT NULL,
    description   text,
    icon          varchar(50),
    color         varchar(7),
    settings      jsonb        NOT NULL DEFAULT '{}',
    deleted_at    timestamptz,
    created_by    uuid         NOT NULL,
    created_at    timestamptz  NOT NULL,
    updated_by    uuid         NOT NULL,
    updated_at    timestamptz  NOT NULL,
    version       integer      NOT NULL,
    position      bigint       NOT NULL,
    name_folded   text COLLATE "C" NOT NULL,  -- sorts without case and accents
    search_folded text COLLATE "C" NOT NULL,  -- name, slug and description to search in
    shown         json         NOT NULL,      -- what answers have of it, ready since it was written
    CONSTRAINT table_defs_pkey PRIMARY KEY (id)
);

-- Slugs that tables had once, for redirects, and the position at which they gave them up.
CREATE TABLE former_slugs (
    company_id uuid         NOT NULL,
    slug       varchar(255) NOT NULL,
    table_id   uuid         NOT NULL,
    position   bigint       NOT NULL,
    CONSTRAINT former_slugs_pkey PRIMARY KEY (company_id, slug, position)
);

-- From the start: a rebuild looks for those of each table that is purged.
CREATE INDEX idx_former_slugs_table_id ON former_slugs (table_id);

-- Tables that are gone for ever, so that their ids can say so.
CREATE TABLE purged_table_defs (
    id         uuid        NOT NULL,
    company_id uuid        NOT NULL,
    purged_at  timestamptz NOT NULL,
    CONSTRAINT purged_table_defs_pkey PRIMARY KEY (id)
);

SELECT event_store.isolate(name::regclass)
  FROM unnest(ARRAY['table_defs', 'former_slugs', 'purged_table_defs']) AS name;
