-- Those of the keys that are there, by their places from 1.
CREATE OR REPLACE FUNCTION payproof_get_many_1(keys bytea[])
RETURNS TABLE (place bigint, held bytea, left_ms bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN
  IF pg_is_in_recovery() THEN RAISE SQLSTATE '25006' USING MESSAGE = 'this server is a standby'; END IF;
  RETURN QUERY SELECT k.place, r.value,
      greatest(1, ceil(extract(epoch FROM r.expires_at - clock_timestamp()) * 1000))::bigint
    FROM unnest(keys) WITH ORDINALITY AS k (key, place) JOIN payproof_records r ON r.key = k.key
    WHERE r.expires_at > clock_timestamp();
END $$;
