-- Name the tenant for row-level security, and end the transaction of a client that vanishes in the midst of it.
SELECT
    set_config('orchestra.tenant', %(tenant)s, true),
    set_config('idle_in_transaction_session_timeout', '10s', true)
