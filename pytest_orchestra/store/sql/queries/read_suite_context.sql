-- Read what the scenarios of a SuiteRun exported.
SELECT context FROM orchestra.suite_run WHERE tenant_id = %(tenant)s AND suite_run_id = %(suite_run_id)s
