"""The building blocks of commands (options, progress, tables, clean stop), and the kernel's own commands."""
