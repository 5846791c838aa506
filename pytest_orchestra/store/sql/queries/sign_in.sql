-- Show that a worker of a SuiteRun is alive, for so long.
INSERT INTO orchestra.sign_of_life AS w (tenant_id, suite_run_id, owner, alive_until)
VALUES (%(tenant)s, %(suite_run_id)s, %(owner)s, clock_timestamp() + make_interval(secs => %(ttl_s)s))
ON CONFLICT (tenant_id, suite_run_id, owner) DO UPDATE SET alive_until = excluded.alive_until
