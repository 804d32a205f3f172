-- What makes the read model fast to query; made after a rebuild has filled it.

CREATE INDEX versions_by_company ON versions (company_id, position);
CREATE UNIQUE INDEX versions_by_position ON versions (id, position);
CREATE INDEX versions_by_actor ON versions (company_id, updated_by, topic, position);
CREATE INDEX versions_by_topic ON versions (company_id, topic, position);
CREATE INDEX versions_purged ON versions (company_id, position) WHERE topic = 'TableDef.Purged';
CREATE INDEX versions_by_words ON versions USING gin (words);

-- A page as of a position is a walk along one of these. Who did not stand then is passed over within
-- the index; of the others nothing but the index is read either, unless the list is narrowed. So
-- `gone` is a column: for an expression the row would be read.
CREATE INDEX standings_by_name ON standings
    (company_id, era, gone, name_folded, id, position, until);
CREATE INDEX standings_by_created_at ON standings
    (company_id, era, gone, created_at, id, position, until);
CREATE INDEX standings_by_updated_at ON standings
    (company_id, era, gone, ended_in, updated_at, id, position, until);
CREATE INDEX standings_by_position ON standings (company_id, era, position, until);
