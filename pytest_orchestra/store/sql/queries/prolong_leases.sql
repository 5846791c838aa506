-- Prolong the leases that are still held; one row for each.
UPDATE orchestra.test_run AS r
SET lock_until = clock_timestamp() + make_interval(secs => %(ttl_s)s), heartbeat_at = clock_timestamp()
FROM jsonb_to_recordset(%(items)s::jsonb) AS item (position integer, run_id text, fence bigint)
WHERE r.tenant_id = %(tenant)s
    AND r.test_run_id = item.run_id
    AND r.fence = item.fence
    AND r.status = 'IN_PROGRESS'
RETURNING item.position, r.lock_until
