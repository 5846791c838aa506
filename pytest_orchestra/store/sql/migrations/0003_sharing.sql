-- What sessions that share a SuiteRun need to know of each other, and how much of the store's runs a tenant may have.

ALTER TABLE orchestra.test_run ADD COLUMN ended_by text;

COMMENT ON COLUMN orchestra.test_run.ended_by IS 'The worker that ended the run, and that reports it.';
COMMENT ON COLUMN orchestra.tenant.settings IS 'maxParallelRuns: how many runs of the tenant go on at once, in all sessions.';
