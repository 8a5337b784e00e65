//! A blocking TCF client for the tools and the tests.
