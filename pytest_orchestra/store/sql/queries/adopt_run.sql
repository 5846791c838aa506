-- Take over the report of a run that another worker ended; one row if nobody else has done so meanwhile.
UPDATE orchestra.test_run
SET ended_by = %(owner)s
WHERE tenant_id = %(tenant)s
    AND test_run_id = %(run_id)s
    AND (ended_by IS NOT DISTINCT FROM %(ended_by)s OR ended_by = %(owner)s)
RETURNING test_run_id
