-- Let the runs of a SuiteRun go on that were cancelled when their session ended.
UPDATE orchestra.test_run
SET status = 'PENDING', reason = NULL, finished_at = NULL
WHERE tenant_id = %(tenant)s AND suite_run_id = %(suite_run_id)s AND status = 'CANCELLED'
