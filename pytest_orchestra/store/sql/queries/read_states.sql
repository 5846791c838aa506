-- Read who has TestRuns, and whether they have ended.
SELECT test_run_id, status, locked_by, coalesce(lock_until >= clock_timestamp(), false) AS is_leased
FROM orchestra.test_run
WHERE tenant_id = %(tenant)s AND test_run_id = ANY(%(run_ids)s)
