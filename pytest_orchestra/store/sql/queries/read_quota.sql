-- Read how many runs of the tenant may go on at once.
SELECT (settings ->> 'maxParallelRuns')::integer AS most FROM orchestra.tenant WHERE tenant_id = %(tenant)s
