"""What agents may use: one interface, whatever stands behind a tool."""
