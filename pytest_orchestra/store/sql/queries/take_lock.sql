-- Take a lock for a run that is leased, if it is free: one row that says so, or says who has it; none without a lease.
WITH mine AS (
    SELECT r.test_run_id, r.fence
    FROM orchestra.test_run AS r
    WHERE r.tenant_id = %(tenant)s
        AND r.test_run_id = %(run_id)s
        AND r.fence = %(fence)s
        AND r.status = 'IN_PROGRESS'
),
holder AS (
    SELECT r.key, r.locked_by
    FROM orchestra.scenario_lock AS l
    JOIN orchestra.test_run AS r
        ON r.tenant_id = l.tenant_id AND r.test_run_id = l.test_run_id AND r.fence = l.fence
    WHERE l.tenant_id = %(tenant)s
        AND l.name = %(name)s
        AND r.test_run_id <> %(run_id)s
        AND r.lock_until IS NOT NULL -- of a lease that has ended, the fence has moved on
),
taken AS (
    UPDATE orchestra.scenario_lock AS l
    SET test_run_id = mine.test_run_id, fence = mine.fence, taken_at = clock_timestamp()
    FROM mine
    WHERE l.tenant_id = %(tenant)s AND l.name = %(name)s AND NOT EXISTS (SELECT FROM holder)
    RETURNING l.name
)
SELECT NULL AS key, NULL AS locked_by, true AS is_taken FROM taken
UNION ALL
SELECT holder.key, holder.locked_by, false AS is_taken FROM holder CROSS JOIN mine
