-- Take the leases of runs that are free, expired or the owner's own; one row for each that was taken.
-- Of a tenant that has a quota, no more than that are leased at once, in all sessions, and while a SuiteRun waits for a
-- place those of lower priority take none. (It follows on hold_quota: a statement sees what was there when it began.)
WITH item AS (
    SELECT position, run_id, owner, ttl_s
    FROM jsonb_to_recordset(%(items)s::jsonb) AS i (position integer, run_id text, owner text, ttl_s double precision)
),
quota AS MATERIALIZED (
    SELECT (t.settings ->> 'maxParallelRuns')::integer AS most
    FROM orchestra.tenant AS t
    WHERE t.tenant_id = %(tenant)s AND t.settings ? 'maxParallelRuns'
),
free AS ( -- a run that another worker is just taking, or writing to, is not free
    SELECT r.test_run_id, r.suite_run_id, item.position, item.owner, item.ttl_s
    FROM orchestra.test_run AS r
    JOIN item ON item.run_id = r.test_run_id
    WHERE r.tenant_id = %(tenant)s
        AND r.status IN ('PENDING', 'QUEUED', 'IN_PROGRESS')
        AND (r.locked_by IS NULL OR r.locked_by = item.owner OR r.lock_until < clock_timestamp())
    ORDER BY r.test_run_id
    FOR NO KEY UPDATE OF r SKIP LOCKED
),
in_turn AS (
    SELECT free.*, row_number() OVER (ORDER BY free.position) AS place
    FROM free
    WHERE NOT EXISTS (SELECT FROM quota) OR NOT EXISTS (
        SELECT FROM orchestra.suite_run AS own
        JOIN orchestra.suite_run AS waiting ON waiting.tenant_id = own.tenant_id AND waiting.priority > own.priority
        WHERE own.tenant_id = %(tenant)s
            AND waiting.tenant_id = %(tenant)s
            AND own.suite_run_id = free.suite_run_id
            AND waiting.waits_until >= clock_timestamp()
    )
),
granted AS (
    SELECT in_turn.*
    FROM in_turn
    WHERE CASE
        WHEN (SELECT quota.most FROM quota) IS NULL THEN true
        ELSE in_turn.place <= (SELECT quota.most FROM quota) - (
            SELECT count(*)
            FROM orchestra.test_run AS r
            WHERE r.tenant_id = %(tenant)s
                AND r.lock_until >= clock_timestamp()
                AND r.test_run_id NOT IN (SELECT in_turn.test_run_id FROM in_turn)
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
