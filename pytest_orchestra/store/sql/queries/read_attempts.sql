-- Read the failed attempts of runs, in their order.
SELECT test_run_id, payload
FROM orchestra.test_run_attempt
WHERE tenant_id = %(tenant)s AND test_run_id = ANY(%(run_ids)s)
ORDER BY test_run_id, attempt
