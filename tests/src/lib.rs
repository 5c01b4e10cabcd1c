//! Nothing but tests: see `cli/` and `interop/` beside this folder.
