-- Read which workers of a SuiteRun have not left it, and whether they live.
SELECT owner, alive_until, alive_until >= clock_timestamp() AS is_alive
FROM orchestra.sign_of_life
WHERE tenant_id = %(tenant)s AND suite_run_id = %(suite_run_id)s
ORDER BY began_at, owner
