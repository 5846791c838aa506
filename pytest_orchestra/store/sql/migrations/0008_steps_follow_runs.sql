-- Results of steps are written by one statement alone, which holds their run; to look the run up again for each of them
-- was a third of what that statement cost. What is left of the foreign key is that they go with their run.

ALTER TABLE orchestra.test_step_result DROP CONSTRAINT test_step_result_tenant_id_test_run_id_fkey;

CREATE FUNCTION orchestra.delete_steps_of_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM orchestra.test_step_result AS s
    USING gone
    WHERE s.tenant_id = gone.tenant_id AND s.test_run_id = gone.test_run_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER steps_follow_runs
    AFTER DELETE ON orchestra.test_run
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION orchestra.delete_steps_of_runs();

COMMENT ON TABLE orchestra.test_step_result IS 'One row for each step of a TestRun; deleted with it by a trigger.';
