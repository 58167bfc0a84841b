-- Adds to the number that a record holds in decimal digits; `which` says why nothing was added.
CREATE OR REPLACE FUNCTION payproof_add_1(k bytea, amount bigint, ttl bigint,
  OUT done bool, OUT held bytea, OUT left_ms bigint, OUT which text)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$
DECLARE digits text; total numeric; least CONSTANT numeric := -9223372036854775808; most CONSTANT numeric := 9223372036854775807;
BEGIN
  FOR i IN 1..16 LOOP
    SELECT r.value, greatest(1, ceil(extract(epoch FROM r.expires_at - clock_timestamp()) * 1000)) INTO held, left_ms
      FROM payproof_records r WHERE r.key = k AND r.expires_at > clock_timestamp() FOR UPDATE;
    IF FOUND THEN
      done := false;
      digits := encode(held, 'escape');
      IF digits !~ '^(0|-?[1-9][0-9]{0,18})$' THEN which := 'no counter'; RETURN; END IF;
      IF digits::numeric NOT BETWEEN least AND most THEN which := 'no counter'; RETURN; END IF;
      total := digits::numeric + amount;
      IF total NOT BETWEEN least AND most THEN which := 'overflow'; RETURN; END IF;
      held := convert_to(total::text, 'UTF8');
      UPDATE payproof_records r SET value = held WHERE r.key = k;
      done := true;
      RETURN;
    END IF;
    held := convert_to(amount::text, 'UTF8');
    left_ms := ttl;
    done := (payproof_claim_1(k, held, ttl)).done;
    IF done THEN RETURN; END IF;
  END LOOP;
  RAISE SQLSTATE '40001' USING MESSAGE = 'the record keeps changing under many hands';
END $$;
