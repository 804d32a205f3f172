-- What makes the read model fast to query; made after a rebuild has filled it.

-- Deferred, because the rows of a batch are written together: two tables may swap slugs.
ALTER TABLE table_defs ADD CONSTRAINT unique_table_slug_per_company
    UNIQUE (company_id, slug) DEFERRABLE INITIALLY DEFERRED;

CREATE INDEX idx_table_defs_company_id ON table_defs (company_id);
CREATE INDEX idx_table_defs_workspace_id ON table_defs (workspace_id);
CREATE INDEX idx_table_defs_deleted_at ON table_defs (deleted_at);
CREATE INDEX idx_table_defs_by_name
    ON table_defs (company_id, (deleted_at IS NOT NULL), name_folded, id);
CREATE INDEX idx_table_defs_by_created_at
    ON table_defs (company_id, (deleted_at IS NOT NULL), created_at, id);
CREATE INDEX idx_table_defs_by_updated_at
    ON table_defs (company_id, (deleted_at IS NOT NULL), updated_at, id);
