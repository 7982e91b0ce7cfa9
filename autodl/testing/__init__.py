"""Contract suites that third parties inherit: a class of tests for each protocol.

Import them from their modules (``from autodl.testing.searchers import SearcherContract``), so
that a test of a scheduler does not load what a test of an executor needs.
"""
