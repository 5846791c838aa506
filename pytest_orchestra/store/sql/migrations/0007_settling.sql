-- Measured effects are few among all results, whose payloads are long: measure_settling reads them from an index alone.

CREATE INDEX test_step_result_settled ON orchestra.test_step_result (tenant_id, test_run_id)
    INCLUDE (alias, recorded_at, settling_time_ms, timeout_ms)
    WHERE settling_time_ms IS NOT NULL AND status IN ('PASSED', 'FLAKY');
