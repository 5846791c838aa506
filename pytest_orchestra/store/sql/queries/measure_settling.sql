-- Measure how long effects took to settle, by process, step and environment, over the latest passed ones of each.
WITH measured AS (
    SELECT
        r.process_id, s.alias, r.environment, s.settling_time_ms, s.timeout_ms, s.duration_ms,
        row_number() OVER (PARTITION BY r.process_id, s.alias, r.environment ORDER BY s.recorded_at DESC) AS age
    FROM orchestra.test_step_result AS s
    JOIN orchestra.test_run AS r ON r.tenant_id = s.tenant_id AND r.test_run_id = s.test_run_id
    WHERE s.tenant_id = %(tenant)s
        AND r.tenant_id = %(tenant)s
        AND s.settling_time_ms IS NOT NULL
        AND s.status IN ('PASSED', 'FLAKY')
        AND (%(environment)s::text IS NULL OR r.environment = %(environment)s)
        AND (%(process_id)s::text IS NULL OR r.process_id = %(process_id)s)
        AND (%(without)s::text IS NULL OR r.suite_run_id <> %(without)s)
)
SELECT
    process_id, alias, environment,
    count(*) AS count,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY settling_time_ms) AS p50_ms,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY settling_time_ms) AS p95_ms,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY settling_time_ms) AS p99_ms,
    max(settling_time_ms) AS max_ms,
    max(timeout_ms) FILTER (WHERE age = 1) AS timeout_ms,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY duration_ms) AS wait_p99_ms
FROM measured
WHERE age <= %(most)s
GROUP BY process_id, alias, environment
ORDER BY process_id, environment, alias
