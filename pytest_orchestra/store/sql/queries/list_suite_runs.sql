-- List the newest SuiteRuns, each with the number of its TestRuns by state.
WITH newest AS (
    SELECT
        suite_run_id, key, tenant_id, status, context, plugin_version, priority, created_at, started_at, finished_at,
        position
    FROM orchestra.suite_run
    WHERE tenant_id = %(tenant)s
    ORDER BY position DESC
    LIMIT %(limit)s
),
counted AS (
    SELECT suite_run_id, status, count(*) AS runs
    FROM orchestra.test_run
    WHERE tenant_id = %(tenant)s AND suite_run_id IN (SELECT suite_run_id FROM newest)
    GROUP BY suite_run_id, status
)
SELECT
    n.suite_run_id, n.key, n.tenant_id, n.status, n.context, n.plugin_version, n.priority, n.created_at, n.started_at,
    n.finished_at,
    coalesce(
        (SELECT jsonb_object_agg(c.status, c.runs) FROM counted AS c WHERE c.suite_run_id = n.suite_run_id), '{}'
    ) AS runs
FROM newest AS n
ORDER BY n.position DESC
