-- What makes the read model fast to query; made after a rebuild has filled it.

CREATE INDEX companies_by_name ON companies ((removed_at IS NOT NULL), name_folded, id);
CREATE UNIQUE INDEX workspaces_by_id ON workspaces (company_id, id);
CREATE INDEX workspaces_by_name
    ON workspaces (company_id, (deleted_at IS NOT NULL), name_folded, id);
