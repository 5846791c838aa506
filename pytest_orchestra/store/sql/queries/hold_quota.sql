-- Let the claims of a tenant that has a quota be one after another: what follows sees what those before have taken.
SELECT 1 FROM orchestra.tenant WHERE tenant_id = %(tenant)s AND settings ? 'maxParallelRuns' FOR NO KEY UPDATE
