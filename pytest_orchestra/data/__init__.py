"""Test data: templates and rules, the resolving of environments and secrets, masking."""
