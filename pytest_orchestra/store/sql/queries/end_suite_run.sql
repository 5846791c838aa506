-- Set a SuiteRun's final state.
UPDATE orchestra.suite_run
SET status = %(status)s, finished_at = clock_timestamp()
WHERE tenant_id = %(tenant)s AND suite_run_id = %(suite_run_id)s
