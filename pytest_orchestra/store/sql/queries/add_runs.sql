-- Create TestRuns in the given order; those whose key the SuiteRun has already are left as they are.
INSERT INTO orchestra.test_run (
    tenant_id, test_run_id, suite_run_id, key, process_id, process_hash, scenario_key, scenario_version, data_set,
    environment, mode, correlation_id, status, created_at
)
SELECT
    %(tenant)s, item.id, item.suite_run_id, item.key, item.process_id, item.process_hash, item.scenario_key,
    item.scenario_version, item.data_set, item.environment, item.mode, item.correlation_id, 'PENDING',
    coalesce(item.created_at, clock_timestamp())
FROM jsonb_to_recordset(%(items)s::jsonb) AS item (
    position integer, id text, suite_run_id text, key text, process_id text, process_hash text, scenario_key text,
    scenario_version text, data_set text, environment text, mode text, correlation_id text, created_at timestamptz
)
ORDER BY item.position
ON CONFLICT (tenant_id, suite_run_id, key) DO NOTHING
