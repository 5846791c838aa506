-- Keep the lease of the run that has a lock from changing while it is decided who is to have it.
SELECT 1
FROM orchestra.test_run AS r
JOIN orchestra.scenario_lock AS l ON l.tenant_id = r.tenant_id AND l.test_run_id = r.test_run_id AND l.fence = r.fence
WHERE l.tenant_id = %(tenant)s AND l.name = %(name)s
FOR NO KEY UPDATE OF r
