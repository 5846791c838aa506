-- Name the tenant for row-level security, until the end of the transaction.
SELECT set_config('orchestra.tenant', %(tenant)s, true)
