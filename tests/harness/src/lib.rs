//! Network namespaces, processes and captures for the tests.
