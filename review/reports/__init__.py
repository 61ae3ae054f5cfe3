"""The pages below /reports/: one module for each, from what `orchestrator.report_queries` read to charts and tables."""
