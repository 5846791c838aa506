-- Set a SuiteRun's final state, unless another session still carries runs of it out: the last one does it for all.
-- One row, with the state that it has.
WITH ended AS (
    UPDATE orchestra.suite_run AS s
    SET status = CASE
            WHEN %(status)s = 'PASSED' AND EXISTS (
                SELECT FROM orchestra.test_run AS r
                WHERE r.tenant_id = %(tenant)s
                    AND r.suite_run_id = s.suite_run_id
                    AND r.status IN ('FAILED', 'ERROR', 'FAILED_STUCK')
            ) THEN 'FAILED'
            ELSE %(status)s
        END,
        finished_at = clock_timestamp(),
        waits_until = NULL
    WHERE s.tenant_id = %(tenant)s
        AND s.suite_run_id = %(suite_run_id)s
        AND NOT EXISTS (
            SELECT FROM orchestra.test_run AS r
            WHERE r.tenant_id = %(tenant)s AND r.suite_run_id = s.suite_run_id AND r.lock_until >= clock_timestamp()
        )
    RETURNING s.status
)
SELECT status FROM ended
UNION ALL
SELECT s.status
FROM orchestra.suite_run AS s
WHERE s.tenant_id = %(tenant)s AND s.suite_run_id = %(suite_run_id)s AND NOT EXISTS (SELECT FROM ended)
