"""Programs that try what a suite of minutes cannot: README.md says which."""
