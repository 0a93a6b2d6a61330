"""The form designer's check: one module a family of rules, together in `forms.check.check`; see docs/checks.md."""
