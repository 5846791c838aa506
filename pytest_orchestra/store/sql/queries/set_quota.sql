-- Set, or take away, how many runs of the tenant may go on at once.
UPDATE orchestra.tenant
SET settings = CASE
    WHEN %(most)s::integer IS NULL THEN settings - 'maxParallelRuns'
    ELSE settings || jsonb_build_object('maxParallelRuns', %(most)s::integer)
END
WHERE tenant_id = %(tenant)s
