-- Remove a worker that has reported all that it ended.
DELETE FROM orchestra.sign_of_life
WHERE tenant_id = %(tenant)s AND suite_run_id = %(suite_run_id)s AND owner = %(owner)s
