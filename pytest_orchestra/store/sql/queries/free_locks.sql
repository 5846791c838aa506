-- Forget the locks of a run that has ended.
DELETE FROM orchestra.scenario_lock
WHERE tenant_id = %(tenant)s AND test_run_id = %(run_id)s AND fence = %(fence)s
