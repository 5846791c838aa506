-- Take the leases of runs that are free, expired or the owner's own; one row for each that was taken.
WITH item AS (
    SELECT position, run_id, owner, ttl_s
    FROM jsonb_to_recordset(%(items)s::jsonb) AS i (position integer, run_id text, owner text, ttl_s double precision)
),
free AS ( -- locked in one order by everybody, so that two workers who claim the same runs cannot block each other
    SELECT r.test_run_id, item.position, item.owner, item.ttl_s
    FROM orchestra.test_run AS r
    JOIN item ON item.run_id = r.test_run_id
    WHERE r.tenant_id = %(tenant)s
        AND r.status IN ('PENDING', 'QUEUED', 'IN_PROGRESS')
        AND (r.locked_by IS NULL OR r.locked_by = item.owner OR r.lock_until < clock_timestamp())
    ORDER BY r.test_run_id
    FOR NO KEY UPDATE OF r
)
UPDATE orchestra.test_run AS r
SET status = 'IN_PROGRESS',
    locked_by = free.owner,
    lock_until = clock_timestamp() + make_interval(secs => free.ttl_s),
    heartbeat_at = clock_timestamp(),
    fence = r.fence + 1,
    started_at = coalesce(r.started_at, clock_timestamp())
FROM free
WHERE r.tenant_id = %(tenant)s AND r.test_run_id = free.test_run_id
RETURNING free.position, r.fence, r.lock_until
