"""Tables as CSV and XLSX files, streamed; no text of a file runs as a formula. Any app may use it."""
