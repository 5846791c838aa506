-- A deadline runs from the beginning of its step, and is held against how long the step took: measure_settling reads that
-- from the index as well.

DROP INDEX orchestra.test_step_result_settled;

CREATE INDEX test_step_result_settled ON orchestra.test_step_result (tenant_id, test_run_id)
    INCLUDE (alias, recorded_at, settling_time_ms, timeout_ms, duration_ms)
    WHERE settling_time_ms IS NOT NULL AND status IN ('PASSED', 'FLAKY');
