"""Look of the HTML pages: one environment for templates, one style for charts."""
