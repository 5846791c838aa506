-- Keep a failed attempt of a run and let the next one begin without steps, if the fence still stands; one row if it did.
-- An attempt that was kept already with the same fence counts as kept, so that the statement can be repeated.
WITH held AS (
    UPDATE orchestra.test_run
    SET attempt = attempt + 1,
        correlation_id = %(correlation_id)s,
        execution_context = '{}',
        heartbeat_at = clock_timestamp()
    WHERE tenant_id = %(tenant)s
        AND test_run_id = %(run_id)s
        AND fence = %(fence)s
        AND attempt = %(attempt)s
        AND status = 'IN_PROGRESS'
    RETURNING test_run_id
),
kept AS (
    INSERT INTO orchestra.test_run_attempt (tenant_id, test_run_id, attempt, fence, payload)
    SELECT %(tenant)s, held.test_run_id, %(attempt)s, %(fence)s, %(payload)s::jsonb
    FROM held
),
gone AS (
    DELETE FROM orchestra.test_step_result AS s
    USING held
    WHERE s.tenant_id = %(tenant)s AND s.test_run_id = held.test_run_id
)
SELECT held.test_run_id FROM held
UNION ALL
SELECT r.test_run_id
FROM orchestra.test_run AS r
WHERE r.tenant_id = %(tenant)s
    AND r.test_run_id = %(run_id)s
    AND r.fence = %(fence)s
    AND r.attempt = %(attempt)s + 1
