-- Name the tenant for row-level security, for the transaction or for the session.
-- And end the transaction of a client that vanishes in the midst of it.
SELECT
    set_config('orchestra.tenant', %(tenant)s, %(is_local)s),
    set_config('idle_in_transaction_session_timeout', '10s', %(is_local)s)
