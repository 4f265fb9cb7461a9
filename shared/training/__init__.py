"""What every training needs: run folders, exact resume, several processes, and Ctrl-C."""
