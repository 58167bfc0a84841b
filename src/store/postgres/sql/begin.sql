-- The table of payproof and the functions that its calls go through, in the first schema of the search path.
-- To run it again changes nothing that is there, and brings functions up to date.
BEGIN;
SELECT pg_advisory_xact_lock(1885433200, 0);
-- Each function keeps this search path for its names, whatever that of its caller is.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);
