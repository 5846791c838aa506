-- What scenarios must have for themselves, in all sessions: a lock is held while its run is leased under that fence.

CREATE TABLE orchestra.scenario_lock (
    tenant_id   text COLLATE "C" NOT NULL REFERENCES orchestra.tenant ON DELETE CASCADE,
    name        text COLLATE "C" NOT NULL,
    test_run_id text COLLATE "C",
    fence       bigint,
    taken_at    timestamptz,
    PRIMARY KEY (tenant_id, name),
    FOREIGN KEY (tenant_id, test_run_id) REFERENCES orchestra.test_run ON DELETE CASCADE
);

CREATE INDEX scenario_lock_run ON orchestra.scenario_lock (tenant_id, test_run_id);

ALTER TABLE orchestra.scenario_lock ENABLE ROW LEVEL SECURITY;
ALTER TABLE orchestra.scenario_lock FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON orchestra.scenario_lock USING (tenant_id = current_setting('orchestra.tenant', true));
