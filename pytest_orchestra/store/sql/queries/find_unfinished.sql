-- Find the newest SuiteRuns without an end that have any of the given scenarios in the given version, newest first.
-- Each with the key of the newest SuiteRun after it that came to its end with all of those that it has.
WITH item AS (
    SELECT key, version
    FROM jsonb_to_recordset(%(items)s::jsonb) AS i (key text, version text)
),
unfinished AS (
    SELECT s.*
    FROM orchestra.suite_run AS s
    WHERE s.tenant_id = %(tenant)s
        AND s.status IN ('PENDING', 'IN_PROGRESS', 'CANCELLED')
        AND EXISTS (
            SELECT FROM orchestra.test_run AS r
            JOIN item ON item.key = r.key AND item.version = r.scenario_version
            WHERE r.tenant_id = %(tenant)s AND r.suite_run_id = s.suite_run_id
        )
    ORDER BY s.position DESC
    LIMIT %(most)s
)
SELECT
    u.suite_run_id, u.key, u.tenant_id, u.status, u.context, u.plugin_version, u.priority, u.created_at, u.started_at,
    u.finished_at,
    (
        SELECT later.key
        FROM orchestra.suite_run AS later
        WHERE later.tenant_id = %(tenant)s
            AND later.position > u.position
            AND later.status IN ('PASSED', 'FAILED')
            AND NOT EXISTS (
                SELECT FROM orchestra.test_run AS r
                JOIN item ON item.key = r.key AND item.version = r.scenario_version
                WHERE r.tenant_id = %(tenant)s
                    AND r.suite_run_id = u.suite_run_id
                    AND NOT EXISTS (
                        SELECT FROM orchestra.test_run AS t
                        WHERE t.tenant_id = %(tenant)s
                            AND t.suite_run_id = later.suite_run_id
                            AND t.key = r.key
                            AND t.scenario_version = r.scenario_version
                            AND t.environment = r.environment
                            AND t.status <> 'CANCELLED'
                    )
            )
        ORDER BY later.position DESC
        LIMIT 1
    ) AS superseded_by,
    array(
        SELECT DISTINCT r.environment
        FROM orchestra.test_run AS r
        JOIN item ON item.key = r.key AND item.version = r.scenario_version
        WHERE r.tenant_id = %(tenant)s AND r.suite_run_id = u.suite_run_id
        ORDER BY r.environment
    ) AS environments
FROM unfinished AS u
ORDER BY u.position DESC
