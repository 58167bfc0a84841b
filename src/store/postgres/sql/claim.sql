-- The clock is not now(), which in a transaction is the time when that began. A record that is held costs no write. Where it is
-- exactly what was to be written its writer asks again, and takes it for made.
CREATE OR REPLACE FUNCTION payproof_claim_1(k bytea, v bytea, ttl bigint, OUT done bool, OUT held bytea, OUT left_ms bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$ DECLARE t timestamptz; BEGIN
  FOR i IN 1..16 LOOP
    t := clock_timestamp();
    IF pg_is_in_recovery() THEN RAISE SQLSTATE '25006' USING MESSAGE = 'this server is a standby'; END IF;
    SELECT r.value, greatest(1, ceil(extract(epoch FROM r.expires_at - clock_timestamp()) * 1000)) INTO held, left_ms
      FROM payproof_records r WHERE r.key = k AND r.expires_at > t;
    IF FOUND THEN
      IF held = v THEN PERFORM payproof_await_standbys_1(); END IF;
      done := false;
      RETURN;
    END IF;
    INSERT INTO payproof_records AS r (key, value, expires_at) VALUES (k, v, t + ttl * interval '1 millisecond')
      ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at WHERE r.expires_at <= t;
    IF FOUND THEN done := true; RETURN; END IF;
  END LOOP;
  RAISE SQLSTATE '40001' USING MESSAGE = 'the record keeps changing under many hands';
END $$;
