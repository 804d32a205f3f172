-- What happened, event by event, and what each thing was from then on.

CREATE TABLE versions (
    id             uuid        NOT NULL,  -- the aggregate
    version        integer     NOT NULL,
    company_id     uuid        NOT NULL,
    position       bigint      NOT NULL,
    topic          text        NOT NULL,
    event_id       uuid        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    -- By whom and why; NULL once it is erased, and so is the rest.
    actor_kind     text,
    command        text,
    reason         text,
    request_id     text,
    correlation_id text,
    causation_id   uuid,
    -- What it was from then on; of a workspace, `workspace_id` is its own.
    workspace_id   uuid,
    name           varchar(255),
    slug           varchar(255),
    description    text,
    icon           varchar(50),
    color          varchar(7),
    settings       jsonb,
    deleted_at     timestamptz,           -- also when a company was removed
    purged_at      timestamptz,
    created_by     uuid,
    created_at     timestamptz,
    updated_by     uuid,                  -- who caused the event
    updated_at     timestamptz,           -- when it occurred
    words          tsvector,              -- what to find the event by
    CONSTRAINT versions_pkey PRIMARY KEY (id, version)
);
-- As in the event store: as if there were many companies of much the same size.
ALTER TABLE versions ALTER COLUMN company_id SET (n_distinct = 1000);

-- Which version of each table stood at a position: it was there at `position`, and until `until`.
-- A table's rows are spread over eras: each era holds all that stood when it began, and all that came
-- to stand while it lasted. So whoever asks for a position looks at one era, of which about half stood
-- then, and not at all that ever was: a multiversion B-tree (Becker et al., 1996) made of plain ones.
CREATE TABLE standings (
    id            uuid        NOT NULL,
    era           integer     NOT NULL,
    version       integer     NOT NULL,
    company_id    uuid        NOT NULL,
    position      bigint      NOT NULL,
    until         bigint      NOT NULL,
    ended_in      smallint    NOT NULL,  -- the part of the era in which it ended
    latest        timestamptz NOT NULL,  -- the last `updated_at` of the company's tables until then
    workspace_id  uuid,
    updated_by    uuid        NOT NULL,
    deleted_at    timestamptz,
    gone          boolean     NOT NULL GENERATED ALWAYS AS (deleted_at IS NOT NULL) STORED,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    name_folded   text COLLATE "C" NOT NULL,  -- sorts without case and accents
    search_folded text COLLATE "C" NOT NULL,  -- name, slug and description to search in
    CONSTRAINT standings_pkey PRIMARY KEY (id, era, version)
);
CREATE INDEX standings_now ON standings (company_id, era, id) WHERE until = 9223372036854775807;

-- From which position on a part of a company's era answers.
CREATE TABLE eras (
    company_id uuid     NOT NULL,
    begins     bigint   NOT NULL,
    era        integer  NOT NULL,
    part       smallint NOT NULL,
    CONSTRAINT eras_pkey PRIMARY KEY (company_id, begins)
);

-- The era that each company's events go to, and how far the next one is filled.
CREATE TABLE present_eras (
    company_id uuid     NOT NULL,
    era        integer  NOT NULL,
    part       smallint NOT NULL,
    events     integer  NOT NULL,  -- since it began
    tables     integer  NOT NULL,  -- that stood when it began
    filled_to  uuid,               -- the last table that stands in the next one too, NULL: none is begun
    latest     timestamptz NOT NULL,
    CONSTRAINT present_eras_pkey PRIMARY KEY (company_id)
);

-- To look for words in: where a policy of row-level security applies, no index of words is used,
-- because their operator is not leakproof. So this has the condition of the policy in itself.
CREATE VIEW searchable AS
SELECT * FROM versions
 WHERE (company_id = ANY (NULLIF(current_setting('dynamic_tables.companies', true), '')::uuid[]))
       IS TRUE;

SELECT event_store.isolate(name::regclass)
  FROM unnest(ARRAY['versions', 'standings', 'eras', 'present_eras']) AS name;
