-- Let one process at a time make databases, until it disconnects (CREATE DATABASE runs in no transaction).
SELECT pg_advisory_lock(hashtextextended('orchestra.server_objects', 0))
