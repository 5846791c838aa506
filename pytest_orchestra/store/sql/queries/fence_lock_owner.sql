-- Move the fence of a run on whose lease has ended and whose lock is taken from it: its worker may come back to life.
UPDATE orchestra.test_run AS r
SET fence = r.fence + 1
FROM orchestra.scenario_lock AS l
WHERE l.tenant_id = %(tenant)s
    AND l.name = %(name)s
    AND r.tenant_id = l.tenant_id
    AND r.test_run_id = l.test_run_id
    AND r.fence = l.fence
    AND r.test_run_id <> %(run_id)s
    AND r.status = 'IN_PROGRESS'
    AND r.lock_until < clock_timestamp()
