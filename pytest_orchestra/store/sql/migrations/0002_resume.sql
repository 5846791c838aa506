-- What a resume needs: the data that a run began with, and a way to find leases that have ended.

ALTER TABLE orchestra.test_run ADD COLUMN data jsonb;

COMMENT ON COLUMN orchestra.test_run.data IS
    'The data that the run began with; null where it holds a secret or no plain JSON, or the run has not begun.';

-- It changes with claims and heartbeats and not with steps, whose updates still touch no index.
CREATE INDEX test_run_lease ON orchestra.test_run (tenant_id, lock_until) WHERE lock_until IS NOT NULL;
