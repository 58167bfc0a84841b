-- Writes over exactly what is expected, or removes it where there is no value to write. Where it finds done what it was to do, the
-- caller takes that for done, as by a claim.
CREATE OR REPLACE FUNCTION payproof_replace_1(k bytea, expected bytea, v bytea, ttl bigint,
  OUT done bool, OUT held bytea, OUT left_ms bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$ DECLARE t timestamptz; BEGIN
  FOR i IN 1..16 LOOP
    t := clock_timestamp();
    IF pg_is_in_recovery() THEN RAISE SQLSTATE '25006' USING MESSAGE = 'this server is a standby'; END IF;
    IF v IS NULL THEN
      DELETE FROM payproof_records r WHERE r.key = k AND r.value = expected AND r.expires_at > t;
    ELSE
      UPDATE payproof_records r SET value = v, expires_at = t + ttl * interval '1 millisecond'
        WHERE r.key = k AND r.value = expected AND r.expires_at > t;
    END IF;
    done := FOUND;
    IF done THEN RETURN; END IF;
    SELECT r.value, greatest(1, ceil(extract(epoch FROM r.expires_at - clock_timestamp()) * 1000)) INTO held, left_ms
      FROM payproof_records r WHERE r.key = k AND r.expires_at > t;
    -- What is expected may have come between the two.
    IF held IS DISTINCT FROM expected THEN
      IF held IS NOT DISTINCT FROM v THEN PERFORM payproof_await_standbys_1(); END IF;
      RETURN;
    END IF;
  END LOOP;
  RAISE SQLSTATE '40001' USING MESSAGE = 'the record keeps changing under many hands';
END $$;
