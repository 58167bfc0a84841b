-- Has this commit wait for the synchronous standbys, if there are some, as that of a write does: what was read is then on them too,
-- also where the connection of its writer ended while its own commit waited. The message changes nothing, and none reads it.
CREATE OR REPLACE FUNCTION payproof_await_standbys_1() RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN
  IF current_setting('synchronous_standby_names') <> '' THEN
    PERFORM pg_logical_emit_message(true, 'payproof', ''::text);
  END IF;
END $$;
