-- Writes the record of a payment and that of its order, or neither; `which` says what stands in the way. Each is written where
-- nothing stands, or exactly what is expected. At none of the former places may anything stand: `former` is one after the other,
-- each as long as the payment's key. The lapsed record is removed before the order's is taken. With `keep` the payment's record
-- stays as it is answered from until the caller's transaction ends.
CREATE OR REPLACE FUNCTION payproof_bind_1(meant bytea, payment bytea, payment_expected bytea, paid bytea, ttl bigint, former bytea,
  lapsed bytea, lapsed_expected bytea, ord bytea, ord_expected bytea, payer bytea, ord_ttl bigint, keep bigint,
  OUT done bool, OUT held bytea, OUT left_ms bigint, OUT which text)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '250ms' AS $$
DECLARE c record; size CONSTANT int := octet_length(payment); BEGIN
  done := false;
  IF meant <> payproof_table_id_1() THEN which := 'table'; RETURN; END IF;
  IF payment_expected IS NULL THEN c := payproof_claim_1(payment, paid, ttl);
  ELSE c := payproof_replace_1(payment, payment_expected, paid, ttl); END IF;
  IF NOT c.done THEN
    which := 'payment';
    IF keep = 1 THEN c := payproof_hold_1(payment);
    -- It may be told as redeemed.
    ELSE PERFORM payproof_await_standbys_1(); END IF;
    held := c.held; left_ms := c.left_ms;
    RETURN;
  END IF;
  -- Only now, so that none is missed that was written there before the payment was claimed here.
  FOR i IN 0 .. octet_length(former) / size - 1 LOOP
    c := payproof_hold_1(substring(former FROM i * size + 1 FOR size));
    IF c.done THEN which := 'former'; EXIT; END IF;
  END LOOP;
  IF which IS NULL AND lapsed IS NOT NULL THEN
    c := payproof_replace_1(lapsed, lapsed_expected, NULL, NULL);
    IF NOT c.done AND c.held IS NOT NULL THEN which := 'lapsed'; END IF;
  END IF;
  IF which IS NULL THEN
    IF ord_expected IS NULL THEN c := payproof_claim_1(ord, payer, ord_ttl);
    ELSE c := payproof_replace_1(ord, ord_expected, payer, ord_ttl); END IF;
    IF c.done THEN done := true; RETURN; END IF;
    which := 'order'; held := c.held; left_ms := c.left_ms;
  END IF;
  DELETE FROM payproof_records r WHERE r.key = payment AND r.value = paid;
END $$;
