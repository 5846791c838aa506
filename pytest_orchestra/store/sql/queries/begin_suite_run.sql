-- Create a SuiteRun, or take up the one of that key again.
INSERT INTO orchestra.suite_run AS s (
    tenant_id, suite_run_id, key, status, context, plugin_version, priority, created_at, started_at
)
VALUES (
    %(tenant)s, %(suite_run_id)s, %(key)s, 'IN_PROGRESS', %(context)s::jsonb, %(plugin_version)s, %(priority)s,
    coalesce(%(created_at)s::timestamptz, clock_timestamp()),
    coalesce(%(started_at)s::timestamptz, clock_timestamp())
)
ON CONFLICT (tenant_id, key) DO UPDATE SET
    status = 'IN_PROGRESS',
    priority = excluded.priority,
    started_at = coalesce(s.started_at, excluded.started_at),
    finished_at = NULL
RETURNING
    suite_run_id, key, tenant_id, status, context, plugin_version, priority, created_at, started_at, finished_at
