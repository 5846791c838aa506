-- Note of SuiteRuns whose runs found no place under the quota that they wait, for a while; of others, that they do not.
-- It follows on claims of these runs. A wish is renewed long before it ends, and not by each of many claims a second.
WITH asked AS (
    SELECT r.suite_run_id, bool_or(r.lock_until IS NULL OR r.lock_until < clock_timestamp()) AS is_refused
    FROM orchestra.test_run AS r
    JOIN jsonb_to_recordset(%(items)s::jsonb) AS item (run_id text) ON item.run_id = r.test_run_id
    WHERE r.tenant_id = %(tenant)s
        AND r.status IN ('PENDING', 'QUEUED', 'IN_PROGRESS')
        AND EXISTS (
            SELECT FROM orchestra.tenant AS t WHERE t.tenant_id = %(tenant)s AND t.settings ? 'maxParallelRuns'
        )
    GROUP BY r.suite_run_id
)
UPDATE orchestra.suite_run AS s
SET waits_until = CASE WHEN asked.is_refused THEN clock_timestamp() + make_interval(secs => %(wish_s)s) END
FROM asked
WHERE s.tenant_id = %(tenant)s
    AND s.suite_run_id = asked.suite_run_id
    AND CASE
        WHEN asked.is_refused
            THEN coalesce(s.waits_until < clock_timestamp() + make_interval(secs => %(wish_s)s / 2), true)
        ELSE s.waits_until IS NOT NULL AND NOT EXISTS (
            SELECT FROM orchestra.test_run AS r
            WHERE r.tenant_id = %(tenant)s
                AND r.suite_run_id = s.suite_run_id
                AND r.status IN ('PENDING', 'QUEUED', 'IN_PROGRESS')
                AND (r.lock_until IS NULL OR r.lock_until < clock_timestamp())
        )
    END
