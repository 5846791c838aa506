-- Let one process at a time migrate, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('orchestra.schema_migration', 0))
