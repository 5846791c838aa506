-- Read the results of the steps of runs, in the order of the steps.
SELECT test_run_id, payload
FROM orchestra.test_step_result
WHERE tenant_id = %(tenant)s AND test_run_id = ANY(%(run_ids)s)
ORDER BY test_run_id, order_index
