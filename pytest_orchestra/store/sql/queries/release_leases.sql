-- End the leases of workers that are known to be dead; their fences move on with the next claim.
UPDATE orchestra.test_run
SET lock_until = clock_timestamp() - interval '1 second'
WHERE tenant_id = %(tenant)s
    AND status = 'IN_PROGRESS'
    AND locked_by = ANY(%(owners)s)
    AND lock_until >= clock_timestamp()
