"""The `kubescribe` command: the only place where the roles are composed."""
