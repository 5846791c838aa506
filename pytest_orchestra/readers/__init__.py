"""Files to model: each reader collects problems with their place and goes on."""
