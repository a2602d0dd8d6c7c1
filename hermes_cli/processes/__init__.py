"""Background processes whose output, exit code and stdin outlive everything but their own exit."""
