-- Write outcomes, intents, exports and final states of many runs, each only if its fence still stands; one row for each.
-- A final state that was written already with the same fence counts as written, so that a batch can be repeated.
WITH item AS (
    SELECT position, run_id, fence, ended, intents, results, exported, status, reason, data
    FROM jsonb_to_recordset(%(items)s::jsonb) AS i (
        position integer, run_id text, fence bigint, ended text, intents jsonb, results jsonb, exported jsonb,
        status text, reason text, data jsonb
    )
),
held AS (
    UPDATE orchestra.test_run AS r
    SET heartbeat_at = clock_timestamp(),
        execution_context = CASE
            WHEN item.status = 'CANCELLED' THEN r.execution_context -- it may be resumed
            WHEN item.status IS NULL THEN jsonb_build_object(
                'intents',
                (coalesce(r.execution_context -> 'intents', '{}') - coalesce(item.ended, '')) || item.intents
            )
            ELSE '{}'
        END,
        data = coalesce(r.data, item.data),
        status = coalesce(item.status, r.status),
        reason = CASE WHEN item.status IS NULL THEN r.reason ELSE item.reason END,
        ended_by = CASE WHEN item.status IS NULL THEN r.ended_by ELSE coalesce(r.locked_by, r.ended_by) END,
        locked_by = CASE WHEN item.status IS NULL THEN r.locked_by END,
        lock_until = CASE WHEN item.status IS NULL THEN r.lock_until END,
        finished_at = CASE WHEN item.status IS NULL THEN r.finished_at ELSE clock_timestamp() END
    FROM item
    WHERE r.tenant_id = %(tenant)s
        AND r.test_run_id = item.run_id
        AND r.fence = item.fence
        AND (r.status = 'IN_PROGRESS' OR r.status = item.status)
    RETURNING item.position, r.test_run_id, r.suite_run_id, r.fence
),
recorded AS (
    INSERT INTO orchestra.test_step_result AS s (
        tenant_id, test_run_id, alias, order_index, status, duration_ms, settling_time_ms, attempts, timeout_ms, fence,
        payload
    )
    SELECT
        %(tenant)s, held.test_run_id, result.alias, result.order_index, result.status, result.duration_ms,
        result.settling_time_ms, result.attempts, result.timeout_ms, held.fence, result.payload
    FROM held
    JOIN item ON item.position = held.position
    CROSS JOIN LATERAL jsonb_to_recordset(item.results) AS result (
        alias text, order_index integer, status text, duration_ms double precision, settling_time_ms double precision,
        attempts integer, timeout_ms double precision, payload jsonb
    )
    ON CONFLICT (tenant_id, test_run_id, alias) DO UPDATE SET
        order_index = excluded.order_index,
        status = excluded.status,
        duration_ms = excluded.duration_ms,
        settling_time_ms = excluded.settling_time_ms,
        attempts = excluded.attempts,
        timeout_ms = excluded.timeout_ms,
        fence = excluded.fence,
        payload = excluded.payload,
        recorded_at = clock_timestamp()
),
export AS (
    SELECT held.suite_run_id, jsonb_object_agg(entry.key, entry.value ORDER BY held.position) AS context
    FROM held
    JOIN item ON item.position = held.position
    CROSS JOIN LATERAL jsonb_each(item.exported) AS entry
    GROUP BY held.suite_run_id
),
shared AS (
    UPDATE orchestra.suite_run AS s
    SET context = s.context || export.context
    FROM export
    WHERE s.tenant_id = %(tenant)s AND s.suite_run_id = export.suite_run_id
)
SELECT position FROM held
