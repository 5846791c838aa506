-- Set a SuiteRun's final state, unless another session still carries runs of it out: the last one does it for all.
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
