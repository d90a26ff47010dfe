"""What commands are made of: options, progress, tables and a clean stop; and the commands of the kernel."""
