-- Find what a reference may mean: exact ids and keys first, then beginnings; SuiteRuns before TestRuns; newest first.
SELECT kind, id, exact
FROM (
    SELECT 'SUITE_RUN' AS kind, suite_run_id AS id, suite_run_id = %(reference)s OR key = %(reference)s AS exact, position
    FROM orchestra.suite_run
    WHERE tenant_id = %(tenant)s AND (suite_run_id ^@ %(reference)s OR key ^@ %(reference)s)
    UNION ALL
    SELECT 'TEST_RUN', test_run_id, test_run_id = %(reference)s OR key = %(reference)s, position
    FROM orchestra.test_run
    WHERE tenant_id = %(tenant)s AND (test_run_id ^@ %(reference)s OR key ^@ %(reference)s)
) AS candidate
ORDER BY exact DESC, kind, position DESC
LIMIT %(limit)s
