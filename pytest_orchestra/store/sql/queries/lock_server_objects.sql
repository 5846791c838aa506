-- Let one process at a time make roles, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('orchestra.server_objects', 0))
