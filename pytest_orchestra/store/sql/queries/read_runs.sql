-- Read the TestRuns of the given ids with their leases, in their order of creation.
SELECT
    test_run_id, suite_run_id, key, process_id, process_hash, scenario_key, scenario_version, data_set, environment,
    mode, correlation_id, status, reason, created_at, started_at, finished_at, execution_context, locked_by, fence, data, ended_by,
    attempt,
    coalesce(lock_until >= clock_timestamp(), false) AS is_leased
FROM orchestra.test_run
WHERE tenant_id = %(tenant)s AND test_run_id = ANY(%(run_ids)s)
ORDER BY position
