-- Reads a record, which stays as it is until the caller's transaction ends. What one commit removed and wrote anew is found by a
-- second look. Above READ COMMITTED neither look sees what others committed since the transaction began, but a write to the place
-- meets it, and fails with 40001. So a place counts as empty there only once it was written to.
CREATE OR REPLACE FUNCTION payproof_hold_1(k bytea, OUT done bool, OUT held bytea, OUT left_ms bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$ BEGIN
  IF pg_is_in_recovery() THEN RAISE SQLSTATE '25006' USING MESSAGE = 'this server is a standby'; END IF;
  FOR i IN 1..2 LOOP
    SELECT r.value, greatest(1, ceil(extract(epoch FROM r.expires_at - clock_timestamp()) * 1000)) INTO held, left_ms
      FROM payproof_records r WHERE r.key = k AND r.expires_at > clock_timestamp() FOR SHARE;
    done := FOUND;
    EXIT WHEN done;
  END LOOP;
  IF NOT done AND current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
    PERFORM FROM payproof_claim_1(k, '', 1);
    DELETE FROM payproof_records r WHERE r.key = k AND r.value = '';
  END IF;
END $$;
