-- Every attempt is kept: of a step in its payload, of a run, with all its steps, in a row of its own.
-- And what is measured of effects can be held against the time that they had.

ALTER TABLE orchestra.test_run ADD COLUMN attempt integer NOT NULL DEFAULT 1;
ALTER TABLE orchestra.test_step_result ADD COLUMN attempts integer NOT NULL DEFAULT 1;
ALTER TABLE orchestra.test_step_result ADD COLUMN timeout_ms double precision;

COMMENT ON COLUMN orchestra.test_step_result.timeout_ms IS 'How long the step waited for an effect at most.';
COMMENT ON COLUMN orchestra.test_run.attempt IS 'Which attempt the run is at, from 1; test_run_attempt has those before.';
COMMENT ON COLUMN orchestra.test_step_result.attempts IS 'How often the step was tried; payload.attempts has those that failed.';

ALTER TABLE orchestra.test_run DROP CONSTRAINT test_run_status_check;
ALTER TABLE orchestra.test_run ADD CONSTRAINT test_run_status_check CHECK (status IN (
    'PENDING', 'QUEUED', 'IN_PROGRESS', 'PASSED', 'FLAKY', 'FAILED', 'ERROR', 'SKIPPED', 'FAILED_STUCK', 'CANCELLED'
)) NOT VALID; -- it takes all that the old one took, so nothing has to be read

CREATE TABLE orchestra.test_run_attempt (
    tenant_id   text COLLATE "C" NOT NULL,
    test_run_id text COLLATE "C" NOT NULL,
    attempt     integer          NOT NULL,
    fence       bigint           NOT NULL,
    payload     jsonb            NOT NULL,
    recorded_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, test_run_id, attempt),
    FOREIGN KEY (tenant_id, test_run_id) REFERENCES orchestra.test_run ON DELETE CASCADE
);

COMMENT ON COLUMN orchestra.test_run_attempt.payload IS 'The whole RunAttempt, which failed and was followed by another.';

ALTER TABLE orchestra.test_run_attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE orchestra.test_run_attempt FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON orchestra.test_run_attempt
    USING (tenant_id = current_setting('orchestra.tenant', true));
