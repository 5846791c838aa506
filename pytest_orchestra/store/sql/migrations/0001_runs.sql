-- Runs and their results: tenants, versions of processes, SuiteRuns, TestRuns with their leases, results of steps.

CREATE SCHEMA IF NOT EXISTS orchestra;

-- The one table without a tenant: it describes the schema, which all tenants share.
CREATE TABLE orchestra.schema_migration (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE orchestra.tenant (
    tenant_id  text COLLATE "C" PRIMARY KEY,
    settings   jsonb            NOT NULL DEFAULT '{}',
    created_at timestamptz      NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE orchestra.process_version (
    tenant_id     text COLLATE "C" NOT NULL REFERENCES orchestra.tenant ON DELETE CASCADE,
    process_id    text COLLATE "C" NOT NULL,
    process_hash  text COLLATE "C" NOT NULL,
    first_seen_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, process_id, process_hash)
);

CREATE TABLE orchestra.suite_run (
    tenant_id      text COLLATE "C" NOT NULL REFERENCES orchestra.tenant ON DELETE CASCADE,
    suite_run_id   text COLLATE "C" NOT NULL,
    key            text COLLATE "C" NOT NULL,
    position       bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    status         text             NOT NULL,
    context        jsonb            NOT NULL DEFAULT '{}',
    plugin_version text             NOT NULL DEFAULT '',
    created_at     timestamptz      NOT NULL DEFAULT clock_timestamp(),
    started_at     timestamptz,
    finished_at    timestamptz,
    PRIMARY KEY (tenant_id, suite_run_id),
    UNIQUE (tenant_id, key),
    CHECK (status IN ('PENDING', 'IN_PROGRESS', 'PASSED', 'FAILED', 'CANCELLED'))
);

CREATE INDEX suite_run_newest ON orchestra.suite_run (tenant_id, position);

COMMENT ON COLUMN orchestra.suite_run.position IS 'Order of creation; clocks of several machines do not matter to it.';
COMMENT ON COLUMN orchestra.suite_run.context IS 'What the scenarios exported, read as {{suite.*}}.';

-- Half of each page is left free, so that a run's many updates stay on its page and touch no index.
CREATE TABLE orchestra.test_run (
    tenant_id         text COLLATE "C" NOT NULL,
    test_run_id       text COLLATE "C" NOT NULL,
    suite_run_id      text COLLATE "C" NOT NULL,
    key               text COLLATE "C" NOT NULL,
    position          bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    process_id        text COLLATE "C" NOT NULL,
    process_hash      text COLLATE "C" NOT NULL,
    scenario_key      text COLLATE "C" NOT NULL,
    scenario_version  text             NOT NULL,
    data_set          text,
    environment       text             NOT NULL,
    mode              text             NOT NULL,
    correlation_id    text             NOT NULL,
    status            text             NOT NULL,
    reason            text,
    execution_context jsonb            NOT NULL DEFAULT '{}',
    locked_by         text,
    lock_until        timestamptz,
    heartbeat_at      timestamptz,
    fence             bigint           NOT NULL DEFAULT 0,
    created_at        timestamptz      NOT NULL DEFAULT clock_timestamp(),
    started_at        timestamptz,
    finished_at       timestamptz,
    PRIMARY KEY (tenant_id, test_run_id),
    UNIQUE (tenant_id, suite_run_id, key),
    FOREIGN KEY (tenant_id, suite_run_id) REFERENCES orchestra.suite_run ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, process_id, process_hash) REFERENCES orchestra.process_version,
    CHECK (status IN (
        'PENDING', 'QUEUED', 'IN_PROGRESS', 'PASSED', 'FAILED', 'ERROR', 'SKIPPED', 'FAILED_STUCK', 'CANCELLED'
    )),
    CHECK ((locked_by IS NULL) = (lock_until IS NULL))
) WITH (fillfactor = 50);

CREATE INDEX test_run_key ON orchestra.test_run (tenant_id, key);

COMMENT ON COLUMN orchestra.test_run.execution_context IS
    'What a resume needs beyond test_step_result: under intents, by alias, the steps that have begun.';
COMMENT ON COLUMN orchestra.test_run.fence IS 'Grows with every claim; a write that names an older one is refused.';

CREATE TABLE orchestra.test_step_result (
    tenant_id        text COLLATE "C" NOT NULL,
    test_run_id      text COLLATE "C" NOT NULL,
    alias            text COLLATE "C" NOT NULL,
    order_index      integer          NOT NULL,
    status           text             NOT NULL,
    duration_ms      double precision NOT NULL,
    settling_time_ms double precision,
    fence            bigint           NOT NULL,
    payload          jsonb            NOT NULL,
    recorded_at      timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, test_run_id, alias),
    FOREIGN KEY (tenant_id, test_run_id) REFERENCES orchestra.test_run ON DELETE CASCADE,
    CHECK (status IN ('PENDING', 'RUNNING', 'PASSED', 'FAILED', 'SKIPPED', 'FLAKY'))
);

COMMENT ON COLUMN orchestra.test_step_result.payload IS 'The whole StepResult.';

-- Row-level security, for the owner of the tables too: whoever forgets a filter still sees one tenant only. Every
-- transaction names its tenant; without one there are no rows. (A superuser is not bound, so the embedded store is none.)
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenant', 'process_version', 'suite_run', 'test_run', 'test_step_result'] LOOP
        EXECUTE format('ALTER TABLE orchestra.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE orchestra.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY of_tenant ON orchestra.%I USING (tenant_id = current_setting(''orchestra.tenant'', true))',
            name
        );
    END LOOP;
END
$$;
