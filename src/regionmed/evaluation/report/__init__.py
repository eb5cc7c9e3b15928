"""The report of one evaluation: report.html (page.py) and report.md (markdown.py)."""
