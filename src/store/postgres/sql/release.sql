-- Removes the record of a payment and that of its order, each where it is exactly what is expected. One that is gone may have been
-- removed by a try of the caller's whose answer was lost.
CREATE OR REPLACE FUNCTION payproof_release_1(meant bytea, payment bytea, payment_expected bytea, ord bytea, ord_expected bytea,
  OUT done bool, OUT held bytea, OUT left_ms bigint, OUT which text)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$ BEGIN
  done := false;
  IF meant <> payproof_table_id_1() THEN which := 'table'; RETURN; END IF;
  IF pg_is_in_recovery() THEN RAISE SQLSTATE '25006' USING MESSAGE = 'this server is a standby'; END IF;
  DELETE FROM payproof_records r WHERE r.key = payment AND r.value = payment_expected;
  done := FOUND;
  DELETE FROM payproof_records r WHERE r.key = ord AND r.value = ord_expected;
  IF NOT done THEN PERFORM payproof_await_standbys_1(); END IF;
END $$;
