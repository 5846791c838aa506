-- Take the leases of runs that are free, expired or the owner's own; one row for each that was taken.
-- Of a tenant that has a quota, no more than that are leased at once, in all sessions.
WITH item AS (
    SELECT position, run_id, owner, ttl_s
    FROM jsonb_to_recordset(%(items)s::jsonb) AS i (position integer, run_id text, owner text, ttl_s double precision)
),
quota AS MATERIALIZED ( -- who has a quota claims one after another
    SELECT (t.settings ->> 'maxParallelRuns')::integer AS most
    FROM orchestra.tenant AS t
    WHERE t.tenant_id = %(tenant)s AND t.settings ? 'maxParallelRuns'
    FOR NO KEY UPDATE OF t
),
free AS ( -- a run that another worker is just taking, or writing to, is not free
    SELECT r.test_run_id, item.position, item.owner, item.ttl_s
    FROM orchestra.test_run AS r
    JOIN item ON item.run_id = r.test_run_id
    WHERE r.tenant_id = %(tenant)s
        AND r.status IN ('PENDING', 'QUEUED', 'IN_PROGRESS')
        AND (r.locked_by IS NULL OR r.locked_by = item.owner OR r.lock_until < clock_timestamp())
    ORDER BY r.test_run_id
    FOR NO KEY UPDATE OF r SKIP LOCKED
),
granted AS (
    SELECT free.*
    FROM (SELECT free.*, row_number() OVER (ORDER BY free.position) AS place FROM free) AS free
    WHERE CASE
        WHEN (SELECT quota.most FROM quota) IS NULL THEN true
        ELSE free.place <= (SELECT quota.most FROM quota) - (
            SELECT count(*)
            FROM orchestra.test_run AS r
            WHERE r.tenant_id = %(tenant)s
                AND r.lock_until >= clock_timestamp()
                AND r.test_run_id NOT IN (SELECT free.test_run_id FROM free)
        )
    END
)
UPDATE orchestra.test_run AS r
SET status = 'IN_PROGRESS',
    locked_by = granted.owner,
    lock_until = clock_timestamp() + make_interval(secs => granted.ttl_s),
    heartbeat_at = clock_timestamp(),
    fence = r.fence + 1,
    started_at = coalesce(r.started_at, clock_timestamp())
FROM granted
WHERE r.tenant_id = %(tenant)s AND r.test_run_id = granted.test_run_id
RETURNING granted.position, r.fence, r.lock_until
