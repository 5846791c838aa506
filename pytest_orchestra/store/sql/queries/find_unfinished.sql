-- Find the newest SuiteRun that did not come to its end and has any of the given scenarios in the given version.
SELECT
    s.suite_run_id, s.key, s.tenant_id, s.status, s.context, s.plugin_version, s.priority, s.created_at, s.started_at,
    s.finished_at
FROM orchestra.suite_run AS s
WHERE s.tenant_id = %(tenant)s
    AND s.status IN ('PENDING', 'IN_PROGRESS', 'CANCELLED')
    AND EXISTS (
        SELECT FROM orchestra.test_run AS r
        JOIN jsonb_to_recordset(%(items)s::jsonb) AS item (key text, version text)
            ON item.key = r.key AND item.version = r.scenario_version
        WHERE r.tenant_id = %(tenant)s AND r.suite_run_id = s.suite_run_id
    )
ORDER BY s.position DESC
LIMIT 1
