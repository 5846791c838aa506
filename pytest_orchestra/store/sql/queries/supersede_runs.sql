-- Give up the keys of runs whose scenario has changed since, for runs that start anew; what they recorded stays.
WITH item AS (
    SELECT id, suite_run_id, key
    FROM jsonb_to_recordset(%(items)s::jsonb) AS i (id text, suite_run_id text, key text)
)
UPDATE orchestra.test_run AS r
SET key = r.key || '@' || left(r.test_run_id, 8),
    fence = r.fence + 1,
    status = CASE WHEN r.status IN ('PENDING', 'QUEUED', 'IN_PROGRESS') THEN 'CANCELLED' ELSE r.status END,
    reason = CASE
        WHEN r.status IN ('PENDING', 'QUEUED', 'IN_PROGRESS') THEN 'its scenario has changed; it was started anew'
        ELSE r.reason
    END,
    finished_at = coalesce(r.finished_at, clock_timestamp()),
    locked_by = NULL,
    lock_until = NULL
FROM item
WHERE r.tenant_id = %(tenant)s
    AND r.suite_run_id = item.suite_run_id
    AND r.key = item.key
    AND r.test_run_id <> item.id
