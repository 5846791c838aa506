-- End a run that has not begun.
UPDATE orchestra.test_run
SET status = %(status)s, reason = %(reason)s, finished_at = clock_timestamp()
WHERE tenant_id = %(tenant)s AND test_run_id = %(run_id)s AND status IN ('PENDING', 'QUEUED')
