-- Room is left in each page, so that a replaced value needs no new entry in the index.
CREATE TABLE IF NOT EXISTS payproof_records (key bytea PRIMARY KEY, value bytea NOT NULL, expires_at timestamptz NOT NULL)
  WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Tells this table from every other one of its name: one row.
CREATE TABLE IF NOT EXISTS payproof_table_id (id uuid NOT NULL, one_row bool PRIMARY KEY DEFAULT true CHECK (one_row));
INSERT INTO payproof_table_id (id) VALUES (gen_random_uuid()) ON CONFLICT DO NOTHING;
