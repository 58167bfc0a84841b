-- Deletes what is over in some pages of the table, and says where to go on and how many pages there are. There is no index on
-- expires_at: with one, each replaced record would need new entries in both indexes.
CREATE OR REPLACE FUNCTION payproof_sweep_1(start bigint, pages bigint, OUT next_start bigint, OUT all_pages bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$
DECLARE t CONSTANT timestamptz := clock_timestamp(); low tid; high tid; BEGIN
  all_pages := pg_relation_size('payproof_records') / current_setting('block_size')::bigint;
  next_start := start % greatest(1, all_pages);
  IF NOT pg_try_advisory_xact_lock(1885433200, 'payproof_records'::regclass::oid::int) THEN RETURN; END IF;
  low := format('(%s,0)', next_start);
  next_start := next_start + pages;
  high := format('(%s,0)', next_start);
  IF next_start >= all_pages THEN next_start := 0; END IF;
  DELETE FROM payproof_records r WHERE r.expires_at <= t AND r.ctid = ANY (ARRAY(
    SELECT o.ctid FROM payproof_records o WHERE o.ctid >= low AND o.ctid < high AND o.expires_at <= t FOR UPDATE SKIP LOCKED));
END $$;
