-- What the sessions of a tenant tell each other: how urgent they are, that they wait for a place, and that they live.

ALTER TABLE orchestra.suite_run ADD COLUMN priority integer NOT NULL DEFAULT 0;
ALTER TABLE orchestra.suite_run ADD COLUMN waits_until timestamptz;

COMMENT ON COLUMN orchestra.suite_run.priority IS 'Which SuiteRuns have the places of a quota first: the greatest.';
COMMENT ON COLUMN orchestra.suite_run.waits_until IS
    'Until when its wish for a place counts; renewed while it waits, so that a dead one stands in nobody''s way.';

CREATE INDEX suite_run_waiting ON orchestra.suite_run (tenant_id, priority) WHERE waits_until IS NOT NULL;

CREATE TABLE orchestra.sign_of_life (
    tenant_id    text COLLATE "C" NOT NULL,
    suite_run_id text COLLATE "C" NOT NULL,
    owner        text COLLATE "C" NOT NULL,
    began_at     timestamptz      NOT NULL DEFAULT clock_timestamp(),
    alive_until  timestamptz      NOT NULL,
    PRIMARY KEY (tenant_id, suite_run_id, owner),
    FOREIGN KEY (tenant_id, suite_run_id) REFERENCES orchestra.suite_run ON DELETE CASCADE
) WITH (fillfactor = 50);

COMMENT ON TABLE orchestra.sign_of_life IS
    'A worker that goes on with a SuiteRun. It renews its row while it lives, and removes it when it has reported all.';

ALTER TABLE orchestra.sign_of_life ENABLE ROW LEVEL SECURITY;
ALTER TABLE orchestra.sign_of_life FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON orchestra.sign_of_life USING (tenant_id = current_setting('orchestra.tenant', true));
