-- Make a role that may log in and is bound by row-level security; the password comes as its SCRAM verifier.
CREATE ROLE {name} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD {verifier}
