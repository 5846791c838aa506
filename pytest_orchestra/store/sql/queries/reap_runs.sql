-- Give up runs whose worker died, and with which nobody went on for a while, or that killed worker after worker.
UPDATE orchestra.test_run
SET status = 'FAILED_STUCK',
    reason = CASE
        WHEN fence >= %(most_claims)s THEN 'every worker that took it died: ' || fence || ' did'
        ELSE 'its worker died, and nobody went on with it'
    END,
    finished_at = clock_timestamp(),
    ended_by = NULL, -- so whoever asks tells of it
    fence = fence + 1,
    locked_by = NULL,
    lock_until = NULL
WHERE tenant_id = %(tenant)s
    AND status = 'IN_PROGRESS'
    AND lock_until < clock_timestamp()
    AND (
        lock_until < clock_timestamp() - make_interval(secs => %(after_s)s)
        OR (fence >= %(most_claims)s AND suite_run_id = coalesce(%(suite_run_id)s, suite_run_id))
    )
RETURNING key
