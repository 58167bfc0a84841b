-- A restored or cloned database has the same random part, and another oid or system identifier.
CREATE OR REPLACE FUNCTION payproof_table_id_1(OUT table_id bytea)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ DECLARE system text := ''; BEGIN
  IF has_function_privilege('pg_control_system()', 'EXECUTE') THEN
    SELECT c.system_identifier INTO system FROM pg_control_system() c;
  END IF;
  SELECT convert_to(i.id || '.' || d.oid || '.' || system, 'UTF8') INTO STRICT table_id
    FROM payproof_table_id i, pg_database d WHERE d.datname = current_database();
END $$;
