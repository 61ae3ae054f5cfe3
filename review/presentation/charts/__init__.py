"""From counts to geometry. Places are hundredths of the plot, so that a chart fills whatever width there is
and its words keep their size; the templates beside `templates/review/charts/` draw them.
"""
